"""The acceptance's page, made from its JSON alone."""

from __future__ import annotations

from typing import Any

from simformer.analysis.markup import cells, code, name
from tests.gpu.needs import NEEDS, PEERS

STEP_COLUMNS = (
    ("case", "case"),
    ("work", "work"),
    ("mode", "mode"),
    ("images", "images"),
    ("seconds", "ms per step"),
    ("images_per_second", "images/s"),
    ("peak_bytes", "peak, GiB"),
    ("busy_share", "GPU busy"),
    ("kernels", "kernels"),
    ("syncs", "host syncs"),
    ("to_device_bytes", "to card, MB"),
    ("to_host_bytes", "to host, MB"),
)
VERDICTS = {True: "passed", False: "**FAILED**", None: ""}
REACHED = {True: "reached", False: "not reached", None: ""}


def write_page(result: dict[str, Any]) -> str:
    """Return the page, Markdown."""
    machine = result["machine"]
    gpu = result["gpu"] or "no GPU"
    verdict = {True: "all checks passed", False: "**some checks failed**", None: "not finished"}[result["passed"]]
    lines = [
        f"# Acceptance: {gpu}",
        "",
        "Written by `python -m tests.gpu.acceptance`; docs/hpc.md says how to read it. Do not edit it.",
        "",
        f"**Result: {verdict}.**",
        "",
        *_table(("what", "found"), [[key, value] for key, value in _facts(result, machine)]),
    ]
    for letter, part in result["parts"].items():
        lines += ["", f"## ({letter}) {part['title']}", "", _ending(part)]
        if part["steps"]:
            lines += ["", *_steps(part["steps"])]
        if part["rows"]:
            rows = [[name(r["name"]), _value(r), _bound(r), _verdict(r), name(r["note"])] for r in part["rows"]]
            lines += ["", *_table(("what", "found", "bound", "verdict", "note"), rows)]
        traces = [(row["name"], row["traceback"]) for row in part["rows"] if row.get("traceback")]
        traces += [(part["title"], part["traceback"])] if part.get("traceback") else []
        for what, text in traces:
            lines += ["", f"Where {name(what)} broke:", "", *(f"    {line}" for line in text.rstrip().splitlines())]
    return "\n".join(lines) + "\n"


def _facts(result: dict[str, Any], machine: dict[str, Any]) -> list[tuple[str, Any]]:
    memory = machine.get("gpu_memory_bytes")
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items() if version)
    return [
        ("card", result["gpu"] and f"{result['gpu']}, {memory / 2**30:.0f} GiB, {machine['gpus']} visible"),
        ("driver", machine.get("driver")),
        ("CUDA, cuDNN", machine.get("cuda") and f"{machine['cuda']}, {machine['cudnn']}"),
        ("processor", f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB"),
        ("Python", machine["python"]),
        ("libraries", libraries),
        ("needed", f"{', '.join(NEEDS.values())}; beside them {' and '.join(PEERS)} are measured where they are there"),
        ("commit", result["commit"]),
        ("date", result["date"]),
        ("sizes", result["size"]),
    ]


def _ending(part: dict[str, Any]) -> str:
    text = f"{part['status']}, {part.get('seconds', 0):.0f} s"
    return text[0].upper() + text[1:] + (f": {part['reason']}" if part.get("reason") else "") + "."


def _steps(steps: list[dict[str, Any]]) -> list[str]:
    """Return the table of measured steps, and below it where the host waits, and why numbers are missing."""
    rows = [[_cell(key, step) for key, _ in STEP_COLUMNS] for step in steps]
    lines = _table([title for _, title in STEP_COLUMNS], rows)
    reasons = dict.fromkeys(why for step in steps for why in step.get("why", {}).values())
    if reasons:
        lines += ["", "A dash means: " + "; ".join(reasons) + "."]
    for step in steps:
        if step.get("sync_places"):
            work = f"{step['case']}, {step['work']}, {step['mode']}, {step['images']} images"
            lines += ["", f"Where the host waits for the card ({work}, times per step):", ""]
            lines += [f"- {code(place)} {count}" for place, count in step["sync_places"].items()]
    return lines


def _cell(key: str, step: dict[str, Any]) -> str:
    value = step.get(key)
    if value is None:
        return "-"
    match key:
        case "seconds":
            return f"{1000 * value:.1f} ({1000 * step['low']:.1f} to {1000 * step['high']:.1f}, n = {step['steps']})"
        case "images_per_second":
            return f"{value:.1f}"
        case "peak_bytes":
            return f"{value / 2**30:.2f}"
        case "busy_share":
            return f"{100 * value:.0f} %"
        case "kernels" | "syncs":
            return f"{value:g}"
        case "to_device_bytes" | "to_host_bytes":
            return f"{value / 1e6:.3f}"
    return str(value)


def _value(row: dict[str, Any]) -> str:
    return "" if row["value"] is None else f"{row['value']:.4g} {row['unit']}".strip()


def _verdict(row: dict[str, Any]) -> str:
    return VERDICTS[row["passed"]] or REACHED[row.get("reached")]


def _bound(row: dict[str, Any]) -> str:
    bounds = [
        f"{word} {row[key]:g}"
        for key, word in (("at_most", "at most"), ("at_least", "at least"))
        if row.get(key) is not None
    ]
    return ", ".join(bounds)


def _table(head: tuple[str, ...] | list[str], rows: list[list[Any]]) -> list[str]:
    shown = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    return [cells(row) for row in (list(head), ["---"] * len(head), *shown)]
