"""Roboflow's export 'Multi-Label Classification': one table per subset.

{train,valid,test}/_classes.csv     filename, class one, class two, ...: 1 present, 0 absent; names padded with blanks
"""

from __future__ import annotations

from simformer.data.archive import Tree
from simformer.data.formats.annotations import Annotations, Options
from simformer.data.formats.plain_csv import read_matrix
from simformer.errors import UserError

NAME = "_classes.csv"


def tags(tree: Tree, options: Options) -> Annotations:
    """Read the tables; UserError if there is none, or one has another form."""
    found = Annotations(str(tree.path))
    tables = [name for name in tree.names() if name.rpartition("/")[2] == NAME]
    if not tables:
        raise UserError(f"{tree.path}: no {NAME}; expected an export 'Multi-Label Classification' of Roboflow")
    for table in tables:
        read_matrix(tree, table, found, table.rpartition("/")[0], options)
    return found
