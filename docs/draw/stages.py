"""Draws docs/stages.svg, the demo's stages, from Snakemake's graph of rules.

    snakemake --configfile config/demo.yaml --rulegraph dot all measured_baselines | python -m docs.draw.stages

A box is a file of workflow/rules/ with those of its rules that take part, an arrow what a later file needs of an
earlier one. An arrow that others imply is left out.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/stages.svg"
WIDTH, BOX, LINE, GAP = 960, 176, 15, 42
"""Of the picture, a box, a line of text, and the space between rows; pixels."""
STYLE = """
text { font: 11.5px system-ui, sans-serif; fill: #1a1a1a; text-anchor: middle }
.name { font-weight: 600; font-size: 13px } .back { stroke: #d55e00; stroke-dasharray: 4 3 }
rect { fill: #e6eff7; stroke: #7d9db8 } path { fill: none; stroke: #777; stroke-width: 1.2; marker-end: url(#end) }
"""
ARROW = (
    '<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z" style="fill:#777;stroke:none"/></marker>'
)
Arrows = set[tuple[str, str]]


def stages(dot: str, files: dict[str, str]) -> tuple[dict[str, list[str]], Arrows]:
    """Join rules to the files that they stand in.

    Args:
        dot: what `snakemake --rulegraph dot` prints.
        files: file of each rule; rules that are not named, such as the targets, are left out.
    Returns: rules by file, in the order of `files`, and (earlier, later) files.
    """
    rules = dict(re.findall(r'(\d+)\[label = "(\w+)', dot))
    present = {rule: file for rule, file in files.items() if rule in rules.values()}
    boxes = defaultdict(list)
    for rule, file in present.items():
        boxes[file].append(rule)
    pairs = [(present.get(rules[a]), present.get(rules[b])) for a, b in re.findall(r"(\d+) -> (\d+)", dot)]
    return dict(boxes), {(a, b) for a, b in pairs if a and b and a != b}


def files_of_rules() -> dict[str, str]:
    """Name of the file of every rule, in the order in which the workflow includes them."""
    text = "".join(path.read_text() for path in (ROOT / "Snakefile", ROOT / "workflow/Snakefile") if path.exists())
    names = re.findall(r'^include: ".*rules/(\w+)\.smk"', text, re.M)
    rule = re.compile(r"^(?:rule|checkpoint|use rule .* as) (\w+)", re.M)
    return {found: name for name in names for found in rule.findall((ROOT / f"workflow/rules/{name}.smk").read_text())}


def picture(boxes: dict[str, list[str]], arrows: Arrows) -> str:
    """Return the picture: what nothing else is needed for stands at the top."""
    names = list(boxes)
    ahead = {(a, b) for a, b in arrows if names.index(a) < names.index(b)}
    shown = {(a, b) for a, b in ahead if not _implied(a, b, ahead)}
    rank: dict[str, int] = {}
    for name in names:
        rank[name] = 1 + max((rank[a] for a, b in ahead if b == name), default=-1)
    places, y = {}, 8
    for row in range(max(rank.values()) + 1):
        members = [name for name in names if rank[name] == row]
        above = {name: [places[a][0] for a, b in shown if b == name] for name in members}
        members.sort(key=lambda name: sum(above[name]) / max(len(above[name]), 1))
        height = 26 + LINE * max(len(boxes[name]) for name in members)
        for i, name in enumerate(members):
            places[name] = (WIDTH * (i + 0.5) / len(members), y)
        y += height + GAP
    lines = [_arrow(a, b, places, boxes, "") for a, b in sorted(shown)]
    lines += [_arrow(a, b, places, boxes, ' class="back"') for a, b in sorted(arrows - ahead)]
    drawn = [text for name in names for text in _box(name, *places[name], boxes[name])]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y - GAP + 8}" width="{WIDTH}">'
    body = [head, f"<style>{STYLE}</style>", ARROW, '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>']
    return "\n".join([*body, *lines, *drawn, "</svg>"]) + "\n"


def _implied(first: str, last: str, arrows: Arrows) -> bool:
    """Whether a way of two arrows or more leads from the first to the last."""
    reached = {b for a, b in arrows if a == first and b != last}
    while more := {b for a, b in arrows if a in reached} - reached:
        reached |= more
    return last in reached


def _box(name: str, x: float, y: float, rules: list[str]) -> list[str]:
    parts = [f'<rect x="{x - BOX / 2:.0f}" y="{y}" width="{BOX}" height="{24 + LINE * len(rules)}" rx="4"/>']
    parts.append(f'<text class="name" x="{x:.0f}" y="{y + 16}">{name}</text>')
    return parts + [f'<text x="{x:.0f}" y="{y + 31 + LINE * i}">{rule}</text>' for i, rule in enumerate(rules)]


def _arrow(first: str, last: str, places: dict, boxes: dict[str, list[str]], style: str) -> str:
    (x0, top), (x1, y1) = places[first], places[last]
    y0 = top + 24 + LINE * len(boxes[first])
    bend = max((y1 - y0) / 2, GAP)
    return f'<path{style} d="M{x0:.0f},{y0} C{x0:.0f},{y0 + bend:.0f} {x1:.0f},{y1 - bend:.0f} {x1:.0f},{y1}"/>'


if __name__ == "__main__":
    PICTURE.write_text(picture(*stages(sys.stdin.read(), files_of_rules())), encoding="utf-8")
