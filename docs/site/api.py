"""Pages of the Python API: a page per package of `simformer`, with the docstrings of what is public in it."""

from __future__ import annotations

import ast
from pathlib import Path

INNER = ("simformer.commands", "simformer.cli")
"""Left out: the page of commands says what they do."""
OVERVIEW = """# Python

The pages of this section are made from the docstrings. Most users need `simformer.load` alone, which
[predicts](../predict.md) from Python.
A package imports from those below it only; [the architecture](../architecture.md) has the picture.
"""


def modules(root: Path) -> dict[str, dict[str, str]]:
    """Return the modules of every package with what they are, the first line of their docstring."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((root / "simformer").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        if module.startswith(INNER):
            continue
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found.setdefault(package, {})[module] = about.split("\n")[0]
    return found


def package_page(package: str, members: dict[str, str]) -> str:
    """Return the page of a package: one part per module."""
    about = members.get(package, "")
    parts = [f"::: {module}\n" for module in members if module != package or package == "simformer"]
    return "\n".join([f"# {package}\n", f"{about}\n", *parts])


def anchor(file: str, name: str) -> str:
    """Return the address of a function or class, seen from a page in docs/.

    Args:
        file: its module without the ending, `simformer/losses/mask`.
        name: its name in the module, `mask_losses` or `MaskFormer.forward`.
    """
    module = file.replace("/", ".")
    return f"api/{module.rpartition('.')[0]}.md#{module}.{name}"
