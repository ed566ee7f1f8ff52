"""What a message says to type can be typed: for a study other than the default one, too."""

import re

import pytest


@pytest.mark.parametrize(
    "command",
    [
        "show results/tiny/spine.md",
        "keep --study config/tiny.yaml",
        "table --study config/tiny.yaml --experiment spine --output results/tiny/spine.csv",
        "table --study config/tiny.yaml --experiment spine --output elsewhere.csv",
        "export_weights --model results/tiny/scenes/split1/simformer/seed0/model.safetensors --output w",
    ],
)
def test_a_hint_is_a_command_that_makes_the_file(pipeline, command):
    told = pipeline.shell(f"python -m simformer.cli {command}")
    hints = re.findall(r"`(snakemake [^`]+)`", told.stderr)
    assert told.returncode == 1 and hints, told.stderr
    for hint in hints:
        done = pipeline.shell(f"python -m {hint} --dry-run --quiet")
        assert done.returncode == 0, (hint, done.stdout + done.stderr)
        assert "config/tiny.yaml" in done.stderr


def test_a_mistyped_table_is_no_rule_and_no_traceback(pipeline):
    told = pipeline.snakemake("--dry-run", "--", "results/tiny/spyne.md")
    said = told.stdout + told.stderr
    assert told.returncode == 1 and "No rule to produce results/tiny/spyne.md" in said and "Traceback" not in said
