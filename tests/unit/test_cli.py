"""The command line as a whole."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_reader_that_has_seen_enough_is_no_error():
    """As in `simformer plan | head -1`: the pipe is closed while there is more to print."""
    command = [sys.executable, "-m", "simformer.cli", "show", *["docs/results/demo_seeds/table2.md"] * 2000]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "Table 2" in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 0
