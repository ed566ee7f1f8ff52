"""Programs of a cluster, faked: a folder of small scripts in the place of the real ones on PATH."""

import os
import shlex
import stat
from pathlib import Path


class Programs:
    """An empty PATH, to which a test adds programs that say something."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder = folder
        folder.mkdir()
        for needed in ("sh", "cat", "sleep"):
            real = next(Path(d, needed) for d in ("/bin", "/usr/bin") if Path(d, needed).exists())
            (folder / needed).symlink_to(real)
        monkeypatch.setenv("PATH", str(folder))

    def add(self, name: str, output: str = "", error: str = "", status: int = 0, first: str = ":") -> None:
        """Add a program that writes what it was called with to NAME.called."""
        script = self.folder / name
        script.write_text(
            f'#!{self.folder / "sh"}\n{first}\necho "$@" > {shlex.quote(str(self.folder))}/{name}.called\n'
            f"cat <<'END'\n{output}\nEND\necho {shlex.quote(error)} >&2\nexit {status}\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def called(self, name: str) -> str:
        """Return the arguments of the last call of a program."""
        return (self.folder / f"{name}.called").read_text().strip()


def touch(path: Path, text: str = "", age: float = 0.0, now: float = 1_000_000.0) -> Path:
    """Write a file that was last changed some seconds before a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (now - age, now - age))
    return path
