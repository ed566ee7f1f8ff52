"""Draws docs/stages.svg, the demo's stages, from Snakemake's graph of rules.

    snakemake --configfile config/demo.yaml --rulegraph dot -- all measured_baselines | python -m docs.draw.stages

A box holds rules of one file of workflow/rules/ that follow each other; a file has several where others come between.
An arrow leads to what needs the earlier box, unless other arrows imply it; a dashed one closes a loop.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs/stages.svg"
WIDTH, BOX, LINE, GAP = 960, 156, 15, 36
"""Of the picture, a box, a line of text, and the space between rows; pixels."""
STYLE = """
text { font: 11.5px system-ui, sans-serif; fill: #1a1a1a; text-anchor: middle }
.name { font-weight: 600; font-size: 13px }
rect { fill: #e6eff7; stroke: #7d9db8 } .arrow { fill: none; stroke: #777; stroke-width: 1.2; marker-end: url(#end) }
.loop { stroke: #d55e00; stroke-dasharray: 4 3 }
"""
MARKER = (
    '<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0,0 L8,4 L0,8 z" fill="#777"/></marker>'
)
Arrows = set[tuple[str, str]]
Box = tuple[str, list[str]]
"""Name of a file, and rules of it."""


def files_of_rules() -> dict[str, str]:
    """Name of the file of every rule that writes something, in the order in which the workflow includes them."""
    text = "".join(path.read_text() for path in (ROOT / "Snakefile", ROOT / "workflow/Snakefile") if path.exists())
    names = re.findall(r'^include: ".*rules/(\w+)\.smk"', text, re.M)
    rule = re.compile(r"^(?:use rule \w+ as (\w+)|rule (\w+):\n(?: .*\n|\n)*?    output:)", re.M)
    texts = {name: (ROOT / f"workflow/rules/{name}.smk").read_text() for name in names}
    return {copied or own: name for name in names for copied, own in rule.findall(texts[name])}


def read_graph(dot: str, files: dict[str, str]) -> tuple[list[str], Arrows, Arrows]:
    """Return rules in the order of `files`, arrows (earlier, later), and those that close a loop (CONTA's rounds).

    Args:
        dot: what `snakemake --rulegraph dot` prints.
        files: file of each rule; rules without one, which are targets, are left out.
    """
    names = dict(re.findall(r'(\d+)\[label = "(\w+)', dot))
    rules = [rule for rule in files if rule in names.values()]
    arrows = {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}
    arrows = {(a, b) for a, b in arrows if a in rules and b in rules}
    loops = {(a, b) for a, b in arrows if rules.index(a) >= rules.index(b) and a in _reached(b, arrows)}
    return rules, arrows - loops, loops


def boxes_of(rules: list[str], arrows: Arrows, files: dict[str, str]) -> list[Box]:
    """Share the rules out among boxes that need earlier ones alone; a file that can be finished comes first."""
    boxes, left = [], list(rules)
    while left:
        ready: dict[str, list[str]] = {}
        for rule in [*left, *left]:  # twice, as a rule may stand above one that it needs
            mine = ready.setdefault(files[rule], [])
            if rule not in mine and not [a for a, b in arrows if b == rule and a in left and a not in mine]:
                mine.append(rule)
        open_ = {file: {rule for rule in left if files[rule] == file} - set(mine) for file, mine in ready.items()}
        file = min((file for file in ready if ready[file]), key=lambda file: bool(open_[file]))
        boxes.append((file, ready[file]))
        left = [rule for rule in left if rule not in ready[file]]
    return boxes


def picture(dot: str, files: dict[str, str]) -> str:
    """Return the picture of a graph of rules, see `read_graph`; what needs nothing stands at the top."""
    rules, arrows, loops = read_graph(dot, files)
    boxes = boxes_of(rules, arrows, files)
    number = {rule: str(i) for i, (_, mine) in enumerate(boxes) for rule in mine}
    needs, back = ({(number[a], number[b]) for a, b in some if number[a] != number[b]} for some in (arrows, loops))
    shown = {(a, b) for a, b in needs if not any(x == a and c != b and b in _reached(c, needs) for x, c in needs)}
    rank: dict[str, int] = {}
    for box in map(str, range(len(boxes))):
        rank[box] = 1 + max((rank[a] for a, b in needs if b == box), default=-1)
    places, y = {}, 8
    for row in range(1 + max(rank.values())):
        members = [box for box in rank if rank[box] == row]
        above = {box: [places[a][0] for a, b in shown if b == box] for box in members}
        members.sort(key=lambda box: sum(above[box]) / max(len(above[box]), 1))
        for i, box in enumerate(members):
            places[box] = (round(WIDTH * (i + 0.5) / len(members)), y, boxes[int(box)])
        y += 24 + LINE * max(len(boxes[int(box)][1]) for box in members) + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
    ground = '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>'
    parts = [head, f"<style>{STYLE}</style>", MARKER, ground]
    parts += [_arrow(places[a], places[b], "arrow") for a, b in sorted(shown)]
    parts += [_arrow(places[a], places[b], "arrow loop") for a, b in sorted(back)]
    parts += [line for place in places.values() for line in _box(*place)]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _reached(first: str, arrows: Arrows) -> set[str]:
    """All that arrows lead to from the first, itself included."""
    reached = {first}
    while more := {b for a, b in arrows if a in reached} - reached:
        reached |= more
    return reached


def _box(x: int, y: int, box: Box) -> list[str]:
    name, rules = box
    parts = [f'<rect x="{x - BOX // 2}" y="{y}" width="{BOX}" height="{24 + LINE * len(rules)}" rx="4"/>']
    parts.append(f'<text class="name" x="{x}" y="{y + 16}">{name}</text>')
    return parts + [f'<text x="{x}" y="{y + 31 + LINE * i}">{rule}</text>' for i, rule in enumerate(rules)]


def _arrow(first: tuple[int, int, Box], last: tuple[int, int, Box], style: str) -> str:
    """Downwards from the foot of a box to the head of another; back upwards to its right, or a long way at the left."""
    (x0, y0, (_, rules)), (x1, y1, _) = first, last
    foot, half = y0 + 24 + LINE * len(rules), BOX // 2
    if y1 > y0:
        middle = (foot + y1) // 2
        way = f"M{x0},{foot} C{x0},{middle} {x1},{middle} {x1},{y1}"
    elif x0 > x1 and y0 - y1 < 2 * BOX:
        way = f"M{x0},{y0} C{x0},{y1 + 12} {x0},{y1 + 12} {x1 + half},{y1 + 12}"
    else:
        side = max(min(x0, x1) - half - (y0 - y1) // 3, 4)
        way = f"M{x0 - half},{y0 + 12} C{side},{y0} {side},{y1} {x1 - half},{y1 + 12}"
    return f'<path class="{style}" d="{way}"/>'


if __name__ == "__main__":
    PICTURE.write_text(picture(sys.stdin.read(), files_of_rules()), encoding="utf-8")
