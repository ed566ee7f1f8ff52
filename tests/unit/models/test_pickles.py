"""Pickles: arrays of every kind survive, and nothing that a pickle asks for is ever run."""

import contextlib
import io
import os
import pickle
import pickletools
from collections import OrderedDict

import numpy as np
import pytest
import torch
from numpy.testing._private.utils import runstring

from simformer.errors import UserError
from simformer.models.pickles import RefusedError, read_pickle
from simformer.models.weight_files import read_tensors
from tests.official_layout import Python2Pickler

CONTENT = {
    "model": OrderedDict(
        a=np.arange(6, dtype=np.float32).reshape(2, 3),
        b=np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        c=np.array(3, np.int64),
        d=np.full((2, 1), 0.1, np.float16),
        e=np.array([1.5, -2.0], ">f4"),
        f=np.array([True, False]),
        g=np.arange(250, 256, dtype=np.uint8),
    ),
    "__author__": "somebody",
    "matching_heuristics": True,
    "list": [1, 2.5, None, (b"\xff\x00",)],
}


def assert_same(found, expected):
    assert found["__author__"] == "somebody" and found["matching_heuristics"] is True
    assert found["model"].keys() == expected["model"].keys()
    for name, array in expected["model"].items():
        assert np.array_equal(found["model"][name], array) and found["model"][name].shape == array.shape
        assert found["model"][name].dtype == array.dtype.newbyteorder("=")
        assert found["model"][name].flags.writeable


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("package", ["numpy._core", "numpy.core"])
def test_arrays_survive_every_protocol_and_numpy(tmp_path, protocol, package):
    data = pickle.dumps(CONTENT, protocol)
    if protocol < 4 and package == "numpy.core":  # later protocols store the length of names
        data = data.replace(b"numpy._core", b"numpy.core")
    (tmp_path / "w.pkl").write_bytes(data)
    assert_same(read_pickle(tmp_path / "w.pkl"), CONTENT)


def test_pickles_of_python_2(tmp_path):
    with (tmp_path / "w.pkl").open("wb") as stream:
        Python2Pickler(stream, 2).dump(CONTENT)
    assert b"_codecs" not in (tmp_path / "w.pkl").read_bytes()
    assert_same(read_pickle(tmp_path / "w.pkl"), CONTENT)


class Call:
    """Pickles as a call of any function, which an ordinary unpickler makes."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def evil(marker):
    return Call(os.system, f"touch {marker}")


class InDtype(np.ndarray):
    """An array whose pickle carries a call where the element type belongs."""

    def __reduce__(self):
        function, arguments, state = super().__reduce__()
        return function, (np.ndarray, *arguments[1:]), (*state[:2], self.payload, *state[3:])


def hide(marker, where):
    """A pickle that runs `touch marker` when an ordinary unpickler reads it."""
    call = evil(marker)
    if where == "top":
        return call
    if where == "nested":
        return {"model": {"a": np.ones(2), "b": [{"c": (1, call)}]}}
    if where == "key":
        return {"model": {(call,): np.ones(2)}}
    if where == "object array":
        return {"model": {"a": np.array([call, 1], dtype=object)}}
    if where == "element type":
        array = np.ones(2).view(InDtype)
        array.payload = call
        return {"model": {"a": array}}
    if where == "builtins":
        return {"model": Call(eval, f"__import__('os').system('touch {marker}')")}
    return {"model": Call(runstring, f"open({str(marker)!r}, 'w')", {})}


WHERE = ["top", "nested", "key", "object array", "element type", "builtins", "numpy name"]


@pytest.mark.parametrize("where", WHERE)
def test_the_attack_works_on_an_ordinary_unpickler(tmp_path, where):
    """Otherwise the next test would prove nothing."""
    data = pickle.dumps(hide(tmp_path / "ran", where))
    with contextlib.suppress(TypeError):  # after the call, whose result is no element type
        pickle.loads(data)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", WHERE)
def test_nothing_is_run(tmp_path, where, protocol):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(hide(tmp_path / "ran", where), protocol))
    with pytest.raises(UserError, match=r"refused: it holds \S+\.(system|eval|runstring), .*nothing in it was run"):
        read_tensors(path)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.pkl"]


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
@pytest.mark.parametrize("save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_nothing_is_run_from_a_torch_file(tmp_path, save, suffix):
    path = tmp_path / f"evil{suffix}"
    save({"model": {"a": [1], "b": evil(tmp_path / "ran")}}, path)
    with pytest.raises(UserError, match="is refused: it holds posix.system") as caught:
        read_tensors(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert "weights_only" not in str(caught.value)  # torch's own text advises to load such a file unsafely


@pytest.mark.parametrize(
    "text",
    [
        b"cnumpy._core.multiarray\nscalar\n.",
        b"cnumpy\nload\n.",
        b"cnumpy\ncore.multiarray._reconstruct\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
        b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",
        b"c_codecs\nlookup\n.",
        b"cbuiltins\ngetattr\n.",
        b"ccopyreg\n_reconstructor\n.",
        b"ctorch._utils\n_rebuild_tensor_v2\n.",
    ],
)
def test_near_misses_of_allowed_names_are_refused(tmp_path, text):
    pickletools.dis(text, out=io.StringIO())  # well-formed
    (tmp_path / "w.pkl").write_bytes(text)
    with pytest.raises(RefusedError):
        read_pickle(tmp_path / "w.pkl")


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([None, 1]), np.zeros(2, [("a", "f4")]), np.ones(2, complex)]
)
def test_arrays_of_other_things_than_numbers_are_refused(tmp_path, array):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"model": {"a": array}}))
    with pytest.raises(UserError, match="refused: it holds an array of type"):
        read_tensors(tmp_path / "w.pkl")


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_file_cut_anywhere_is_reported(tmp_path, protocol):
    data = pickle.dumps({"model": {"a": np.ones((2, 3)), "b": np.ones(1, np.float32)}}, protocol)
    for length in range(len(data)):
        (tmp_path / "cut.pkl").write_bytes(data[:length])
        with pytest.raises(UserError, match=rf"cannot read .*cut\.pkl \({length} bytes"):
            read_tensors(tmp_path / "cut.pkl")


@pytest.mark.parametrize("change", [lambda s: (*s[:1], (7, 7), *s[2:]), lambda s: (*s[:4], 5), lambda s: s[:2]])
def test_inconsistent_arrays_are_reported(tmp_path, change):
    class Bent(np.ndarray):
        def __reduce__(self):
            function, arguments, state = super().__reduce__()
            return function, (np.ndarray, *arguments[1:]), change(state)

    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"model": {"a": np.ones(2).view(Bent)}}))
    with pytest.raises(UserError, match="cannot read"):
        read_tensors(tmp_path / "w.pkl")


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"model": {}}, 3, {"model": {"a": 1}}, {"model": {1: np.ones(1)}}, {"a": "b"}]
)
def test_contents_without_tensors_are_reported(tmp_path, content):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="holds no named tensors|holds more than a state dict"):
        read_tensors(tmp_path / "w.pkl")
