"""Freed memory is kept for the next tensor."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from simformer.machine.memory import keep_freed_memory
assert sys.argv[1] == "default" or keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**24, np.uint8)
before = faults()
for _ in range(50):
    first, second = np.ones(2**26, np.uint8), np.ones(2**25, np.uint8)
    del first, second
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="concerns glibc alone")
def test_large_blocks_are_reused():
    counts = [
        int(subprocess.run([sys.executable, "-c", CODE, way], capture_output=True, check=True, text=True).stdout)
        for way in ("default", "kept")
    ]
    assert counts[1] < counts[0] / 10
