"""Check of LaTeX tables: compiled where LaTeX is installed, and parsed anyway."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LatexTable:
    """Cells of a table, row by row, the header first."""

    rows: list[list[str]]


def check_latex(text: str) -> LatexTable:
    """Fail unless environments and braces are balanced and every row has the columns that the table declares."""
    code = re.sub(r"(?m)^%.*\n", "", text)
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", code):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened and opened.pop() == name, f"\\end{{{name}}} closes nothing"
    assert not opened, f"not closed: {opened}"
    bare = re.sub(r"\\[\\{}]", "", code)
    assert bare.count("{") == bare.count("}")
    (columns,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", code)
    rows = []
    for line in code.splitlines():
        if line.endswith(r" \\"):
            cells = re.split(r"(?<!\\)&", line.removesuffix(r"\\"))
            assert len(cells) == len(columns), f"{len(cells)} cells in {len(columns)} columns: {line}"
            assert not re.search(r"(?<!\\)[%#_]|[^\x00-\x7f]", line), f"special characters are left: {line}"
            rows.append([cell.strip() for cell in cells])
    for command in ("toprule", "midrule", "bottomrule"):
        assert code.count(f"\\{command}") == 1
    _compile(text)
    return LatexTable(rows)


def _compile(text: str) -> None:
    """Compile a page with the table if this machine has LaTeX."""
    program = shutil.which("tectonic") or shutil.which("pdflatex")
    if program is None:
        return
    page = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{text}\end{{document}}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "page.tex").write_text(page, encoding="utf-8")
        options = [] if program.endswith("tectonic") else ["-interaction=nonstopmode", "-halt-on-error"]
        done = subprocess.run([program, *options, "page.tex"], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:]
