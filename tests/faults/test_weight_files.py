"""Weights and training states from elsewhere: damaged, of another kind, hostile, or of another network."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import nn

from simformer.cli import main
from simformer.data.layout import write_lists
from simformer.errors import UserError
from simformer.models.backbone import build_backbone
from simformer.training.checkpoint import load_state, save_state
from tests.faults.harness import refused

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

MARK = "ran"


@pytest.fixture
def state():
    """The state dict of a small backbone."""
    torch.manual_seed(0)
    return dict(build_backbone("tiny").state_dict())


def torch_bytes(content, **options):
    """Return what torch.save writes of a content."""
    path = Path(os.environ["PYTEST_WEIGHTS"])
    torch.save(content, path, **options)
    data = path.read_bytes()
    path.unlink()
    return data


@pytest.fixture(autouse=True)
def _scratch(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PYTEST_WEIGHTS", str(tmp_path_factory.mktemp("scratch") / "w.pth"))


class Call:
    """Runs a command when an ordinary unpickler reads it."""

    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


def nested(depth):
    """Return lists that hold one list twice, over and over: 2**depth places in a few bytes."""
    inner = [1.0]
    for _ in range(depth):
        inner = [inner, inner]
    return inner


def endless():
    """Return a list that holds itself."""
    inner = []
    inner.append(inner)
    return inner


def with_value(state, value, name="conv1.weight"):
    """Return the state with one number replaced."""
    changed = {key: tensor.clone() for key, tensor in state.items()}
    changed[name].view(-1)[3] = value
    return changed


def script():
    """Return TorchScript, which holds code."""
    path = Path(os.environ["PYTEST_WEIGHTS"])
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)
    data = path.read_bytes()
    path.unlink()
    return data


def numpy_pickle(state):
    """Return the state as detectron2 publishes it."""
    return pickle.dumps({name: tensor.numpy() for name, tensor in state.items()})


FILES = {  # ending, content, what is said
    "empty .pth": (".pth", lambda s: b"", "(0 bytes; an empty file)"),
    "empty .safetensors": (".safetensors", lambda s: b"", "(0 bytes; an empty file)"),
    "empty .pkl": (".pkl", lambda s: b"", "(0 bytes; an empty file)"),
    "page .pth": (".pth", lambda s: b"<html>Sign in</html>", "a web page: a login, a notice, or the file has moved)"),
    "page .safetensors": (".safetensors", lambda s: b"<!doctype html><p>404", "a web page: a login, a notice"),
    "page .pkl": (".pkl", lambda s: b"\n<html>404</html>", "a web page: a login, a notice"),
    "pointer": (".pth", lambda s: b"version https://git-lfs.github.com/spec/v1\n", "the pointer of Git LFS"),
    "zeros": (".safetensors", lambda s: bytes(5000), "a file of zeros, as an interrupted copy leaves it"),
    "cut .pth": (".pth", lambda s: torch_bytes(s)[:50_000], "it is damaged, incomplete, or no file of weights"),
    "cut .safetensors": (".safetensors", lambda s: save(s)[:50_000], "(50000 bytes; "),
    "cut .pkl": (".pkl", lambda s: numpy_pickle(s)[:50_000], "(50000 bytes; "),
    "cut legacy .pth": (
        ".pth",
        lambda s: torch_bytes(s, _use_new_zipfile_serialization=False)[:50_000],
        "(50000 bytes; ",
    ),
    "broken header": (".safetensors", lambda s: save(s)[:8] + b"[" + save(s)[9:], "invalid JSON in header"),
    "huge header": (".safetensors", lambda s: b"\xff" * 7 + b"\x7f" + save(s)[8:], "it is damaged, incomplete, or no"),
    "header cut": (".safetensors", lambda s: save(s)[:20], "(20 bytes; "),
    "text": (".pth", lambda s: b"hello", "(5 bytes; KeyError 101)"),
    "picture": (".pth", lambda s: b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG image"),
    "tar": (".pth", lambda s: b"a" * 257 + b"ustar" + bytes(300), "a tar archive"),
    "gzip": (".pkl", lambda s: b"\x1f\x8b" + bytes(50), "a gzip file"),
    "torch's own as .safetensors": (".safetensors", lambda s: torch_bytes(s), "a zip archive"),
    "torch's own as .pkl": (".pkl", lambda s: torch_bytes(s), "a zip archive"),
    "code .pth": (".pth", lambda s: torch_bytes({"a": Call()}), "is refused: it holds posix.system"),
    "code .pkl": (".pkl", lambda s: pickle.dumps({"a": Call()}), "is refused: it holds posix.system"),
    "code as .pth": (".pth", lambda s: pickle.dumps(Call()), "no file of torch.save"),
    "TorchScript": (".pth", lambda s: script(), "it is damaged, incomplete, or no file of weights"),
    "a whole module": (".pth", lambda s: torch_bytes(nn.Linear(2, 2)), "is refused: it holds torch.nn.modules"),
    "object array": (".pkl", lambda s: pickle.dumps({"a": np.array([{}], object)}), "it holds an array of type 'O8'"),
    "a tensor": (".pth", lambda s: torch_bytes(torch.ones(2)), "holds no named tensors"),
    "a list": (".pth", lambda s: torch_bytes([torch.ones(2)]), "holds no named tensors"),
    "nothing": (".pth", lambda s: torch_bytes({}), "holds no named tensors"),
    "null": (".pkl", lambda s: pickle.dumps(None), "holds no named tensors"),
    "numbers": (".pth", lambda s: torch_bytes({"a": 5}), "holds more than a state dict: 'a' is a int"),
    "names of another kind": (".pth", lambda s: torch_bytes({5: torch.ones(1)}), "holds more than a state dict: '5'"),
    "doubling": (".pkl", lambda s: pickle.dumps({"a": nested(100)}), "holds more than a state dict: 'a' is a list"),
    "endless": (".pkl", lambda s: pickle.dumps(endless()), "it is damaged, incomplete, or no file of weights"),
    "deep": (".pkl", lambda s: b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", "it is damaged, incomplete"),
    "sparse": (".pth", lambda s: torch_bytes(s | {"conv1.weight": torch.ones(3, 3).to_sparse()}), "neither sparse nor"),
    "meta": (".pth", lambda s: torch_bytes(s | {"conv1.weight": torch.ones(3, device="meta")}), "on 'meta'"),
    "spread": (
        ".pth",
        lambda s: torch_bytes(s | {"conv1.weight": torch.ones(1).expand(10**12)}),
        "'conv1.weight' claims 1,000,000,000,000 numbers, which a file of",
    ),
    "NaN": (".pth", lambda s: torch_bytes(with_value(s, float("nan"))), "NaN or infinite, in conv1.weight: the"),
    "infinite": (".safetensors", lambda s: save(with_value(s, float("-inf"))), "NaN or infinite, in conv1.weight"),
    "NaN .pkl": (".pkl", lambda s: numpy_pickle(with_value(s, float("nan"))), "NaN or infinite, in conv1.weight"),
    "NaN everywhere": (".pth", lambda s: torch_bytes({k: v * np.nan for k, v in s.items()}), "and 30 more: the"),
    "NaN in half": (
        ".pth",
        lambda s: torch_bytes({k: v.half() for k, v in with_value(s, float("nan")).items()}),
        "NaN or infinite, in conv1.weight",
    ),
    "whole numbers": (
        ".pth",
        lambda s: torch_bytes({k: (v * 100).to(torch.int8) for k, v in s.items()}),
        "33 wrong type (block1.conv1.weight int8 instead of float32",
    ),
    "complex": (
        ".pth",
        lambda s: torch_bytes(s | {"conv1.weight": s["conv1.weight"] * 1j}),
        "1 wrong type (conv1.weight complex64 instead of float32",
    ),
    "one too few": (".pth", lambda s: torch_bytes({k: s[k] for k in list(s)[1:]}), "1 missing (conv1.weight). Set"),
    "one too many": (".pth", lambda s: torch_bytes(s | {"more": torch.ones(1)}), "1 unexpected (more). Set"),
    "another shape": (
        ".pth",
        lambda s: torch_bytes(s | {"conv1.weight": torch.ones(2, 2)}),
        "1 wrong shape (conv1.weight (2, 2) instead of ",
    ),
    "another network": (".pth", lambda s: torch_bytes(build_backbone("resnet18").state_dict()), "(33 tensors"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_of_weights_is_refused(name, state, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ending, content, reason = FILES[name]
    path = tmp_path / f"weights{ending}"
    path.write_bytes(content(state))
    given = ["weights", "--backbone", "tiny", "--source", path, "--output", tmp_path / "out.safetensors"]
    refused(given, tmp_path, capsys, f"{path}", reason, "model.weights: PATH")
    assert not Path(MARK).exists()


def test_code_runs_in_an_ordinary_unpickler(tmp_path, monkeypatch):
    """Otherwise the cases of code above would prove nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Call()))
    assert Path(MARK).exists()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(kind, tmp_path, capsys):
    path = tmp_path / "weights.pth"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    given = ["weights", "--backbone", "tiny", "--source", path, "--output", tmp_path / "out.safetensors"]
    refused(given, tmp_path, capsys, f"no file {path}: a folder, pipe or device")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read(kind, state, tmp_path):
    torch.save({name: tensor.to(kind) for name, tensor in state.items()}, tmp_path / "w.pth")
    given = ["weights", "--backbone", "tiny", "--source", str(tmp_path / "w.pth")]
    assert main([*given, "--output", str(tmp_path / "out.safetensors")]) == 0
    found = load_file(tmp_path / "out.safetensors")
    assert all(torch.equal(found[name], tensor.to(kind).float()) for name, tensor in state.items())
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}


OFFICIAL = ("empty .pth", "page .pth", "cut .pth", "cut .pkl", "code .pth", "code .pkl", "NaN", "a list", "doubling")


@pytest.mark.parametrize("name", OFFICIAL)
def test_so_is_a_bad_official_checkpoint(name, state, tmp_path, capsys, monkeypatch, new_config):
    monkeypatch.chdir(tmp_path)
    ending, content, reason = FILES[name]
    path = tmp_path / f"official{ending}"
    path.write_bytes(content(state))
    config = new_config({"model": {"backbone": "resnet18"}})
    config.save(tmp_path / "config.yaml")
    write_lists(tmp_path, ("sky", "sea"), (), ())
    given = ["--config", tmp_path / "config.yaml", "--data", tmp_path, "--output", tmp_path / "model.safetensors"]
    refused(["import_weights", "--source", path, *given], tmp_path, capsys, f"{path}", reason)
    assert not Path(MARK).exists()


IDENTITY = {"settings": "a" * 16}


def parts(features=3):
    """Return a network and its optimiser."""
    network = nn.Linear(features, features)
    return {"network": network, "optimizer": torch.optim.AdamW(network.parameters())}


def changed(path, change):
    """Rewrite a state file with its content changed."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


def swap(*keys):
    """Return a change that puts something else below some keys."""

    def change(content):
        for key in keys[:-2]:
            content = content[key]
        content[keys[-2]] = keys[-1]

    return change


STATES = {
    "empty": (lambda path: path.write_bytes(b""), "not a readable training state ("),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:2000]), "not a readable training state ("),
    "cut near its end": (lambda path: path.write_bytes(path.read_bytes()[:-30]), "not a readable training state ("),
    "page": (lambda path: path.write_bytes(b"<html>"), "not a readable training state ("),
    "zeros": (lambda path: path.write_bytes(bytes(5000)), "not a readable training state ("),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "training state (a folder, pipe or device)"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "training state (a folder, pipe or device)"),
    "code": (lambda path: torch.save({"identity": Call()}, path), "not a readable training state ("),
    "a tensor": (lambda path: torch.save(torch.ones(1), path), "not a readable training state (a Tensor)"),
    "a list": (lambda path: torch.save([1], path), "not a readable training state (a list)"),
    "no identity": (lambda path: changed(path, lambda c: c.pop("identity")), "(no `identity`)"),
    "no parts": (lambda path: changed(path, lambda c: c.pop("parts")), "(no `parts`)"),
    "no step": (lambda path: changed(path, lambda c: c.pop("step")), "(no `step`)"),
    "no generators": (lambda path: changed(path, lambda c: c.pop("random")), "(no `random`)"),
    "step as a text": (lambda path: changed(path, swap("step", "5")), "(`step` is a str)"),
    "step as truth": (lambda path: changed(path, swap("step", True)), "(step True)"),
    "negative step": (lambda path: changed(path, swap("step", -3)), "(step -3)"),
    "identity as a text": (lambda path: changed(path, swap("identity", "a")), "(`identity` is a str)"),
    "parts as a list": (lambda path: changed(path, swap("parts", [])), "(`parts` is a list)"),
    "no network": (lambda path: changed(path, lambda c: c["parts"].pop("network")), "does not fit this training ("),
    "network as a text": (lambda path: changed(path, swap("parts", "network", "x")), "does not fit this training ("),
    "a tensor too few": (
        lambda path: changed(path, lambda c: c["parts"]["network"].pop("bias")),
        "does not fit this training (Error(s) in loading state_dict for Linear: Missing key(s) in state_dict: \"bias\"",
    ),
    "another shape": (
        lambda path: changed(path, swap("parts", "network", "bias", torch.ones(9))),
        "does not fit this training (Error(s) in loading state_dict for Linear: size mismatch for bias",
    ),
    "no groups": (
        lambda path: changed(path, swap("parts", "optimizer", "param_groups", [])), "does not fit this training ("
    ),
    "optimiser as a list": (lambda path: changed(path, swap("parts", "optimizer", [])), "does not fit this training ("),
    "generators of NumPy": (lambda path: changed(path, swap("random", "numpy", 5)), "does not fit this training ("),
    "generator of another form": (
        lambda path: changed(path, swap("random", "torch", torch.ones(3))), "does not fit this training ("
    ),
    "generator of Python": (lambda path: changed(path, swap("random", "python", ())), "does not fit this training ("),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_a_bad_training_state_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_state(tmp_path / "state", parts(), 7, IDENTITY)
    change, reason = STATES[name]
    change(tmp_path / "state/state.pt")
    with pytest.raises(UserError) as error:
        load_state(tmp_path / "state", parts(), IDENTITY)
    line = str(error.value)
    assert line.startswith(f"{tmp_path}/state/state.pt: ")
    assert reason in line and "\n" not in line and f"delete {tmp_path}/state to start over" in line
    assert not Path(MARK).exists()


def test_a_state_of_before_without_usage_is_read(tmp_path):
    save_state(tmp_path, parts(), 7, IDENTITY)
    more = parts() | {"usage": nn.Linear(1, 1)}
    assert load_state(tmp_path, more, IDENTITY) == 7


def test_a_zip_of_torch_with_other_content_is_refused(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as pack:
        pack.writestr("a.txt", "hello")
    given = ["weights", "--backbone", "tiny", "--source", tmp_path / "w.pth", "--output", tmp_path / "out.safetensors"]
    refused(given, tmp_path, capsys, f"cannot read {tmp_path}/w.pth (", "it is damaged, incomplete, or no file")


def test_safetensors_of_half_precision_with_a_number_too_large_is_refused(state, tmp_path, capsys):
    save_file({name: (tensor * 1e6).half() for name, tensor in state.items()}, tmp_path / "w.safetensors")
    given = [
        "weights",
        "--backbone",
        "tiny",
        "--source",
        tmp_path / "w.safetensors",
        "--output",
        tmp_path / "o.safetensors",
    ]
    refused(given, tmp_path, capsys, "holds values that are NaN or infinite")
