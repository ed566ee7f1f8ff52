# The study, read and checked before anything uses it, with the one meaning that `simformer` gives to its files.
import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

HOME = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parents[1]
"""The folder of this workflow, whose configuration is the default, wherever snakemake is started."""
sys.path.insert(0, str(HOME))

from simformer.config.layers import RECIPE_VERSION, read_study, read_yaml
from simformer.config.paths import config_folder
from simformer.errors import UserError
from simformer.study.catalogue import FULL_SPLIT
from simformer.study.last_words import was_interrupted
from simformer.study.plan import make_plan
from simformer.study.problems import split_problems, unwritable_folders
from simformer.study.runs import files_of
from simformer.study.specification import digest, read_runs

DEFAULT_STUDY = f"{HOME}/config/config.yaml"
IMPORTED = not workflow.modifier.is_main_snakefile()
"""Whether another workflow uses these rules as a module, and gives the study as its `config`."""
USES_DEFAULT = "datasets" not in config and (IMPORTED or not workflow.configfiles)
"""A study given with --configfile replaces the default, it is not merged into it."""
given = [DEFAULT_STUDY] if USES_DEFAULT else [] if IMPORTED else workflow.configfiles
FILES_OF_STUDY = [Path(os.path.relpath(path)) for path in given]
OVERRIDES = [f"{key}={json.dumps(value)}" for key, value in config.items()] if IMPORTED else []
OVERRIDES = OVERRIDES or workflow.config_settings.config_args or []

try:
    # Snakemake takes `010` for 8, drops doubled keys, and ends with a traceback for a file that is no UTF-8 text.
    content = read_study(FILES_OF_STUDY, OVERRIDES)
    config.clear()
    config.update(content)
    RUNS = read_runs(FILES_OF_STUDY, config_folder(FILES_OF_STUDY, HOME), OVERRIDES)
    CATALOGUE = RUNS.catalogue
    if workflow.is_main_process and (problems := split_problems(CATALOGUE)):
        raise UserError("\n".join(problems.values()))
    dry = workflow.output_settings.dryrun
    if workflow.is_main_process and not dry and (problems := list(unwritable_folders(CATALOGUE))):
        raise UserError("\n".join(problems))
    if workflow.is_main_process and dry:
        print(make_plan(CATALOGUE).text(gpu_here=False), file=sys.stderr)
except UserError as error:
    raise WorkflowError(str(error)) from None
STUDY, CONFIG = CATALOGUE.study, CATALOGUE.root
STUDY_OPTIONS = ["--study", *map(str, FILES_OF_STUDY), "--configuration", str(CONFIG)]
STUDY_OPTIONS += ["--config", *OVERRIDES] if OVERRIDES else []
"""The same study, for commands."""
