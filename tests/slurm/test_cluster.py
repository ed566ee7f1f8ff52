"""What the tests of Slurm use to find and end processes touches those of their own folder alone."""

import subprocess
import sys

from tests.slurm.cluster import processes, wait_for


def test_the_same_command_in_another_folder_is_not_found(tmp_path):
    """Another test trains the same model at the same time, and must not be killed."""
    command = (sys.executable, "-c", "import time; time.sleep(60)", "results/model.safetensors")
    started = []
    try:
        for name in ("ours", "others"):
            (tmp_path / name).mkdir()
            started.append(subprocess.Popen(command, cwd=tmp_path / name))
        wait_for(20, "both processes", lambda: len(processes(tmp_path, "results/model.safetensors")) == 2)
        assert processes(tmp_path / "ours", "results/model.safetensors") == [started[0].pid]
        assert processes(tmp_path / "ours", "another word") == []
    finally:
        for process in started:
            process.kill()
            process.wait()
