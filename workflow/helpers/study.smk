# The study, read and checked before anything uses it, with the one meaning that `simformer` gives to its files.
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
from simformer.study.catalogue import FULL_SPLIT, Catalogue
from simformer.study.last_words import was_interrupted
from simformer.study.plan import make_plan
from simformer.study.problems import split_problems
from simformer.study.resolved import ResolvedStudy, digest
from simformer.study.runs import Runs, files_of

DEFAULT_STUDY = f"{HOME}/config/config.yaml"
IMPORTED = not workflow.modifier.is_main_snakefile()
"""Whether another workflow uses these rules as a module, and gives the study as its `config`."""
USES_DEFAULT = "datasets" not in config and (IMPORTED or not workflow.configfiles)
"""A study given with --configfile replaces the default, it is not merged into it."""


def read_runs(files):
    """Read the study as `simformer` does: Snakemake takes `010` for 8 and drops doubled keys."""
    if not IMPORTED:
        given = read_study(files, workflow.config_settings.config_args or ())
        config.clear()
        config.update(given)
    elif USES_DEFAULT:
        config.update(read_yaml(Path(DEFAULT_STUDY)) | config)
        files = [Path(DEFAULT_STUDY)]
    else:
        files = []
    names = tuple(map(os.path.relpath, files))
    return Runs(Catalogue(config, ", ".join(names) or "config", config_folder(files, HOME)), () if IMPORTED else names)


try:
    # `configfile:` below would end with a traceback for a file that is no UTF-8 text.
    RUNS = read_runs([Path(DEFAULT_STUDY)] if USES_DEFAULT else [Path(path) for path in workflow.configfiles])
    if workflow.is_main_process and (problems := split_problems(RUNS.catalogue)):
        raise UserError("\n".join(problems.values()))
    if workflow.is_main_process and workflow.output_settings.dryrun:
        print(make_plan(RUNS.catalogue).text(gpu_here=False), file=sys.stderr)
except UserError as error:
    raise WorkflowError(str(error)) from None
CATALOGUE = RUNS.catalogue
STUDY, CONFIG = CATALOGUE.study, CATALOGUE.root
