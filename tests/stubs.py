"""Programs of a cluster, faked: small scripts in the place of the real ones on PATH; and how tests read checks."""

import os
import shlex
import stat
from pathlib import Path
from types import SimpleNamespace

import torch

from simformer.doctor.check import Check

SCENES = {"title": "Toys", "source": {"kind": "scenes"}, "settings": {"model": {"weights": "none"}}}
LARGE = SCENES | {"source": {"kind": "ade20k", "archive": {"urls": ["http://localhost/a.zip"], "bytes": 10**10}}}


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


def by_name(checks) -> dict[str, Check]:
    """Checks by name, which must differ; whoever finds fault must say what to do."""
    found = list(checks)
    assert len({check.name for check in found}) == len(found)
    assert all(check.fix for check in found if check.level == "problem")
    assert not any(check.fix for check in found if check.level == "ok")
    return {check.name: check for check in found}


def gpus(monkeypatch, *devices, build="13.0"):
    """Make torch see these (name, compute capability)."""
    found = [SimpleNamespace(name=name, total_memory=80 * 2**30, major=major) for name, major in devices]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(found))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: found[i])
    monkeypatch.setattr(torch.version, "cuda", build)
