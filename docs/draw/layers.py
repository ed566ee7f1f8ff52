"""Draws docs/layers.svg from the contracts of imports in pyproject.toml: `python -m docs.draw.layers`."""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/layers.svg"
WIDTH, LINE, GAP, INDENT, NAMES = 980, 19, 5, 30, 152
"""Of the picture, a line of text, the space between bands, bands within a band, and the column of names; pixels."""
STYLE = """
text { font: 12.5px system-ui, sans-serif; fill: #1a1a1a } .name { font-weight: 600 } .truth { fill: #d55e00 }
.band0 { fill: #e6eff7; stroke: #7d9db8 } .band1 { fill: #fbf4df; stroke: #b8a06a }
"""
TRUTH = "may read true label maps; in data/, only masking.py may"
RULE = "A band imports only from bands below it. Modules of one band do not import each other."


def picture() -> str:
    """Return the picture: a band per layer, the highest first; the layers of the baselines stand within theirs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = {c["containers"][0]: c["layers"] for c in contracts if c["type"] == "layers"}
    (wall,) = [c["allowed_importers"] for c in contracts if c.get("protected_modules") == ["simformer.data.truth"]]
    parts, bottom = _bands("simformer", 0, 2 * LINE + GAP, layers, wall)
    top = f'<text x="{GAP}" y="{LINE - 4}">{escape(RULE)}</text>' + _dot(GAP + 4, LINE + 5)
    top += f'<text x="{GAP + 14}" y="{2 * LINE - 10}">{TRUTH}</text>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" width="{WIDTH}" height="{bottom}">'
    body = [head, f"<style>{STYLE}</style>", '<rect width="100%" height="100%" fill="#fff"/>', top, *parts, "</svg>"]
    return "\n".join(body) + "\n"


def _bands(package: str, depth: int, y: int, layers: dict[str, list[str]], wall: list[str]) -> tuple[list[str], int]:
    """Draw the layers of a package from y downwards; also returns where the next thing may begin."""
    left, parts = GAP + depth * INDENT, []
    for layer in layers[package]:
        modules = [f"{package}.{name}" for name in re.split(r" [|:] ", layer)]
        top, inner = y, []
        for module in modules:
            y += LINE
            name, text = module.rpartition(".")[2], _about(module)
            inner.append(f'<text class="name" x="{left + 12}" y="{y - 5}">{name}</text>')
            inner.append(f'<text x="{left + 12 + NAMES}" y="{y - 5}">{escape(text)}</text>')
            if any(f"{reader}.".startswith(f"{module}.") for reader in wall):
                inner.append(_dot(left + 5, y - 9))
            if module in layers:
                more, y = _bands(module, depth + 1, y + GAP, layers, wall)
                inner += more
        box = f'x="{left}" y="{top}" width="{WIDTH - GAP - left - depth * GAP}" height="{y - top}" rx="3"'
        parts += [f'<rect class="band{depth}" {box}/>', *inner]
        y += GAP
    return parts, y


def _about(module: str) -> str:
    """First line of a module's or package's description, without what stands in brackets."""
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    line = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).splitlines()[0]
    return re.sub(r" \([^)]*\)", "", line).rstrip(".")


def _dot(x: int, y: int) -> str:
    return f'<circle class="truth" cx="{x}" cy="{y}" r="3.5"/>'


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
