"""The declared operators, each case in a fresh interpreter: an operator cannot be undeclared."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def run(code: str, folder: Path) -> str:
    """Run code in a new interpreter that finds modules in `folder` first; return what it prints."""
    paths = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(REPOSITORY)!r}]\n"
    done = subprocess.run([sys.executable, "-c", paths + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_imports_and_a_second_call_declares_nothing(tmp_path):
    """With the installed torchvision, intact or not, its Python models work."""
    code = """
from simformer.models import torchvision_ops
import torch, torchvision
assert torchvision is torchvision_ops.torchvision
assert all(hasattr(torch.ops.torchvision, name) for name in torchvision_ops.OPERATORS)
first = list(torchvision_ops._declared)
assert torchvision_ops.declare_missing_ops() == ()
assert torchvision_ops._declared == first
print(torchvision.models.resnet18(norm_layer=torchvision.ops.FrozenBatchNorm2d).fc.out_features)
"""
    assert run(code, tmp_path) == "1000"


@pytest.mark.slow
def test_only_what_is_missing_is_declared(tmp_path):
    """`nms` exists, `qnms` does not, and there is no extension to load (an empty stand-in package)."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    code = f"""
import torch
library = torch.library.Library("torchvision", "FRAGMENT")
library.define("nms{SCHEMA}")
from simformer.models import torchvision_ops
print(len(torchvision_ops._declared), torch.ops.torchvision.qnms.default._schema)
"""
    assert run(code, tmp_path) == f"1 torchvision::qnms{SCHEMA}"


def test_nothing_is_declared_when_both_operators_exist(tmp_path):
    """Declaring an operator twice would be an error."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    code = f"""
import torch
library = torch.library.Library("torchvision", "FRAGMENT")
library.define("nms{SCHEMA}")
library.define("qnms{SCHEMA}")
from simformer.models import torchvision_ops
print(torchvision_ops._declared, torchvision_ops.declare_missing_ops())
"""
    assert run(code, tmp_path) == "[] ()"
