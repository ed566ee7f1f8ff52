"""Backbone weights: every way a file can be wrong, and the round trip."""

import pickle
import stat
import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from simformer.errors import UserError
from simformer.models import weights
from simformer.models.backbone import build_backbone
from simformer.models.torchvision_ops import torchvision
from tests.official_layout import backbone_names

MOBILENET = Path(__file__).resolve().parents[3] / ".." / "shared" / "realdata" / "mobilenet_v2_imagenet.pth"
DOWNLOADER = "load_state_dict_from_url"


@pytest.fixture(scope="module")
def resnet18() -> dict[str, torch.Tensor]:
    """A torchvision state dict, with classifier and batch norm counters."""
    torch.manual_seed(0)
    return torchvision.models.resnet18().state_dict()


def test_a_torchvision_file_becomes_a_backbone(tmp_path, resnet18):
    """.pth -> safetensors -> backbone; classifier and counters are dropped, no temporary file stays."""
    torch.save(resnet18, tmp_path / "resnet18.pth")
    target = tmp_path / "new" / "initial.safetensors"
    weights.fetch_backbone_weights("resnet18", str(tmp_path / "resnet18.pth"), target)
    assert [p.name for p in target.parent.iterdir()] == ["initial.safetensors"]
    assert stat.S_IMODE(target.stat().st_mode) == stat.S_IMODE((tmp_path / "resnet18.pth").stat().st_mode)
    backbone = build_backbone("resnet18")
    weights.initialise_backbone(backbone, target)
    state = backbone.state_dict()
    assert state.keys() == load_file(target).keys()
    assert all(torch.equal(state[name], resnet18[name]) for name in state)
    assert not any(name.startswith("fc.") or name.endswith("num_batches_tracked") for name in state)


def test_the_written_file_is_itself_a_source(tmp_path, resnet18):
    """And a .safetensors in torchvision's layout is read too."""
    save_file(resnet18, tmp_path / "torchvision.safetensors")
    weights.fetch_backbone_weights("resnet18", str(tmp_path / "torchvision.safetensors"), tmp_path / "a.safetensors")
    again = weights.load_backbone_weights("resnet18", tmp_path / "a.safetensors")
    assert all(torch.equal(again[name], resnet18[name]) for name in again) and len(again) == 100


def test_mobilenet_prefix_and_classifier(tmp_path):
    """torchvision names MobileNet's layers features.*; the backbone does not."""
    reference = torchvision.models.mobilenet_v2().state_dict()
    torch.save(reference, tmp_path / "mobilenet.pth")
    state = weights.load_backbone_weights("mobilenet_v2", tmp_path / "mobilenet.pth")
    build_backbone("mobilenet_v2").load_state_dict(state, strict=True)
    assert torch.equal(state["18.0.weight"], reference["features.18.0.weight"])


@pytest.mark.skipif(not MOBILENET.is_file(), reason="shared/realdata/mobilenet_v2_imagenet.pth is not here")
def test_the_real_mobilenet_file_loads(tmp_path):
    """ImageNet weights on this disk: finite features that differ between images."""
    weights.fetch_backbone_weights("mobilenet_v2", str(MOBILENET), tmp_path / "mobilenet.safetensors")
    backbone = build_backbone("mobilenet_v2")
    weights.initialise_backbone(backbone, tmp_path / "mobilenet.safetensors")
    with torch.no_grad():
        last = backbone(torch.randn(2, 3, 64, 64))[-1]
    assert last.isfinite().all() and not torch.allclose(last[0], last[1])


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_file(tmp_path, resnet18, suffix):
    """Named, with its size and the way out; nothing is written."""
    path = tmp_path / f"cut{suffix}"
    torch.save(resnet18, path) if suffix == ".pth" else save_file(resnet18, path)
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(UserError, match=rf"cannot read .*cut{suffix} \(1000000 bytes.*model\.weights: PATH"):
        weights.fetch_backbone_weights("resnet18", str(path), tmp_path / "out.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_file_of_another_kind(tmp_path, content, suffix):
    """An empty file, an error page saved under the right name."""
    path = tmp_path / f"page{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot read"):
        weights.load_backbone_weights("resnet18", path)


def test_missing_file(tmp_path):
    """The path is in the message."""
    with pytest.raises(UserError, match=r"no file .*absent\.pth"):
        weights.load_backbone_weights("resnet18", tmp_path / "absent.pth")


def test_weights_of_another_network(tmp_path, resnet18):
    """At most three names of each kind, then a count."""
    torch.save(resnet18, tmp_path / "resnet18.pth")
    with pytest.raises(UserError) as caught:
        weights.load_backbone_weights("resnet50", tmp_path / "resnet18.pth")
    message = str(caught.value)
    assert "resnet18.pth does not fit the model.backbone 'resnet50' (265 tensors expected)" in message
    assert " missing (layer1.0.bn3.bias" in message and "more" in message
    assert " wrong shape (layer1.0.conv1.weight (64, 64, 3, 3) instead of (64, 64, 1, 1)" in message
    assert message.count("layer") < 15


@pytest.mark.parametrize(("name", "kind"), [("layer1.0.conv9.weight", "unexpected"), ("conv1.weight", "missing")])
def test_one_wrong_key(tmp_path, resnet18, name, kind):
    """Strict: one key too many or too few is an error."""
    state = {k: v for k, v in resnet18.items() if k != name}
    if kind == "unexpected":
        state[name] = torch.zeros(1)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(UserError, match=rf"1 {kind} \({name}\)"):
        weights.load_backbone_weights("resnet18", tmp_path / "w.pth")


def test_more_than_a_state_dict(tmp_path, resnet18):
    """A dictionary of dictionaries is refused with advice; a training checkpoint's 'model' is found."""
    torch.save({"network": resnet18, "epoch": 1}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="more than a state dict"):
        weights.load_backbone_weights("resnet18", tmp_path / "other.pth")
    torch.save({"model": resnet18, "epoch": 1}, tmp_path / "checkpoint.pth")
    assert len(weights.load_backbone_weights("resnet18", tmp_path / "checkpoint.pth")) == 100


@pytest.fixture
def detectron2_file(resnet18):
    """Content of detectron2's R-50.pkl of torchvision origin, for ResNet-18."""
    arrays = {theirs: resnet18[ours].numpy() for ours, theirs in backbone_names("resnet18")}
    arrays |= {"stem.fc.weight": resnet18["fc.weight"].numpy(), "stem.fc.bias": resnet18["fc.bias"].numpy()}
    return {"model": arrays, "__author__": "torchvision", "matching_heuristics": True}


def test_detectron2_file_of_torchvision_origin(tmp_path, resnet18, detectron2_file):
    """Names without `backbone.`, the classifier below `stem.`; equal to torchvision's own file."""
    (tmp_path / "R-18.pkl").write_bytes(pickle.dumps(detectron2_file))
    weights.fetch_backbone_weights("resnet18", str(tmp_path / "R-18.pkl"), tmp_path / "w.safetensors")
    backbone = build_backbone("resnet18")
    weights.initialise_backbone(backbone, tmp_path / "w.safetensors")
    assert all(torch.equal(tensor, resnet18[name]) for name, tensor in backbone.state_dict().items())


def test_detectron2_file_is_checked_too(tmp_path, detectron2_file):
    """Strict, and for the right network only."""
    model = detectron2_file["model"]
    model["res2.0.conv9.weight"] = model.pop("res2.0.conv1.weight")
    (tmp_path / "R-18.pkl").write_bytes(pickle.dumps(detectron2_file))
    with pytest.raises(
        UserError, match=r"1 missing \(layer1\.0\.conv1\.weight\); 1 unexpected \(res2\.0\.conv9\.weight\)"
    ):
        weights.load_backbone_weights("resnet18", tmp_path / "R-18.pkl")
    with pytest.raises(UserError, match="does not fit the model.backbone 'mobilenet_v2'"):
        weights.load_backbone_weights("mobilenet_v2", tmp_path / "R-18.pkl")


@pytest.mark.parametrize("wrap", [lambda blobs: blobs, lambda blobs: {"blobs": blobs}])
def test_caffe2_file_is_refused(tmp_path, wrap):
    """MSRA's R-50.pkl: other names, and a network that would silently be wrong."""
    blobs = {"conv1_w": np.ones((64, 3, 7, 7), np.float32), "res_conv1_bn_gamma": np.ones(64, np.float32)}
    blobs |= {"res2_0_branch2a_w": np.ones((64, 64, 1, 1), np.float32), "lr": 0.1}
    (tmp_path / "R-50.pkl").write_bytes(pickle.dumps(wrap(blobs), 2))
    with pytest.raises(UserError, match=r"R-50\.pkl is a Caffe2 model .*BGR.*torchvision/R-50\.pkl"):
        weights.load_backbone_weights("resnet50", tmp_path / "R-50.pkl")


def test_a_whole_maskformer_is_no_backbone(tmp_path, resnet18):
    """It is pointed to the command that reads it."""
    torch.save({"model": resnet18 | {"sem_seg_head.layer_4.weight": torch.ones(1)}}, tmp_path / "model.pth")
    with pytest.raises(UserError, match="holds a whole MaskFormer, not a backbone.*simformer import_weights"):
        weights.load_backbone_weights("resnet18", tmp_path / "model.pth")


def test_initialise_is_strict(tmp_path, resnet18):
    """A file for another backbone leaves the network untouched."""
    torch.save(resnet18, tmp_path / "resnet18.pth")
    weights.fetch_backbone_weights("resnet18", str(tmp_path / "resnet18.pth"), tmp_path / "w.safetensors")
    backbone = build_backbone("tiny")
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    with pytest.raises(UserError, match="does not fit"):
        weights.initialise_backbone(backbone, tmp_path / "w.safetensors")
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())


def test_tiny_has_no_imagenet_weights(tmp_path):
    """The message says what to type."""
    with pytest.raises(UserError, match="model.weights: none"):
        weights.fetch_backbone_weights("tiny", "imagenet", tmp_path / "w.safetensors")


def test_imagenet_download_is_hashed_and_checked(tmp_path, resnet18, monkeypatch):
    """torchvision's V1 file, by torchvision's own downloader."""
    calls = []

    def download(url, **options):
        calls.append((url, options))
        return resnet18

    monkeypatch.setattr(torchvision.models._api, DOWNLOADER, download)
    weights.fetch_backbone_weights("resnet18", "imagenet", tmp_path / "w.safetensors")
    [(url, options)] = calls
    assert url == torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    assert options["check_hash"] is True and options["weights_only"] is True
    assert torch.equal(load_file(tmp_path / "w.safetensors")["conv1.weight"], resnet18["conv1.weight"])


def test_failed_download(tmp_path, monkeypatch):
    """No network: the message names the address and how to bring a file; nothing is written."""

    def download(url, **options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torchvision.models._api, DOWNLOADER, download)
    with pytest.raises(UserError, match=r"resnet50.*https://.*no route to host.*model\.weights: PATH"):
        weights.fetch_backbone_weights("resnet50", "imagenet", tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []
