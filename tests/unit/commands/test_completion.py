"""The script of `simformer completion`, in the shells that read it."""

import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from simformer.cli import main

OFFERED = {
    "simformer sta": {"status", "stage_costs"},
    "simformer train --w": {"--weights", "--workers"},
    "simformer refine --kind ": {"psa", "irn"},
    "simformer completion ": {"bash", "zsh"},
}
"""What is offered for the last word of a line."""
PATIENCE = 20
"""Seconds after which a shell that has not answered is given up."""


def script(shell: str, capsys) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("line", [*OFFERED, "simformer train --config ", "simformer status --study con"])
def test_bash_completes(line, capsys):
    words = line.split(" ")
    asked = (
        f"{script('bash', capsys)}\nCOMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}\n"
        '_simformer; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert set(done.stdout.split()) == OFFERED.get(line, set())


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_completes(tmp_path, capsys):
    """Ctrl-D behind a word lists what is offered; it is typed in a terminal of its own."""
    (tmp_path / "completion.zsh").write_text(script("zsh", capsys))
    (tmp_path / "study.yaml").touch()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "HOME": str(tmp_path)})
    try:
        _typed(terminal, "source completion.zsh; echo re''ady\n", {"ready"})
        for line, words in {**OFFERED, "simformer train --config ": {"study.yaml"}}.items():
            _typed(terminal, f"{line}\t\x04", words)
            os.write(terminal, b"\x15")  # Ctrl-U takes the line away
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def _typed(terminal: int, keys: str, expected: set[str]) -> None:
    """Type, and read until all the expected words stand there."""
    os.write(terminal, keys.encode())
    seen, end = "", time.monotonic() + PATIENCE
    while not all(word in seen for word in expected):
        assert select.select([terminal], [], [], max(0, end - time.monotonic()))[0], f"{keys!r} gave {seen!r}"
        seen += os.read(terminal, 65536).decode(errors="replace")
