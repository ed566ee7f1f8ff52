"""Names of devices that `--device` takes; in a file of its own, because importing torch takes a second."""

from __future__ import annotations

DEVICES = r"auto|cpu|mps|cuda(:\d{1,4})?"
"""What such a name must match as a whole."""
EXPECTED = "auto, cpu, mps, cuda or cuda:N"
