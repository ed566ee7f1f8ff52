# Snakemake's `configfile:` ends with a traceback for a file that is no UTF-8 text: the default study is read here first.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(workflow.basedir))

from simformer.config.layers import read_yaml
from simformer.errors import UserError

DEFAULT_STUDY = f"{workflow.basedir}/config/config.yaml"
USES_DEFAULT = not workflow.configfiles and "datasets" not in config
"""A study given with --configfile replaces the default, it is not merged into it."""

if USES_DEFAULT:
    try:
        read_yaml(Path(DEFAULT_STUDY))
    except UserError as error:
        raise WorkflowError(str(error)) from None
