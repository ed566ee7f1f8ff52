"""SEAM: U1, U2, U3, U8, column blocks, and a training that can be stopped anywhere."""

import pytest
import torch

from simformer.baselines.class_maps.map_files import MapJob
from simformer.baselines.cpn.settings import CpnSettings
from simformer.baselines.response_networks import response_maps, train_response
from simformer.baselines.seam.losses import seam_terms
from simformer.baselines.seam.settings import SeamSettings
from simformer.baselines.settings import NetworkSpec
from simformer.baselines.stride8.cross_regularisation import maxnorm
from simformer.baselines.stride8.network import TappedClassifier, enlarged, pooled_logits
from simformer.baselines.stride8.pixel_correlation import correlate, pixel_seed
from simformer.baselines.stride8.settings import TappedSettings
from tests.conftest import job_in
from tests.unit.baselines.stages import CAM, COMMON, CPU

PRESENT = torch.tensor([[True, False, True, False, True], [False, True, False, False, False]])


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TappedClassifier("tiny", 5, 0.0)


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def received(network, loss) -> set[str]:
    """Return the parts of a network whose parameters get a gradient that is not 0."""
    network.zero_grad()
    loss.backward(retain_graph=True)
    return {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_u1_maxnorm():
    maps = torch.randn(2, 3, 6, 7)
    maps[0, 0] = -maps[0, 0].abs()
    found = maxnorm(maps)
    assert found.min() == 0 and 0.9 < found.max() < 1
    assert (found[0, 0] == 0).all()
    assert torch.equal(maxnorm(maps.abs() + 3).amin(dim=(2, 3)), torch.zeros(2, 3))


def test_u2_correlation_is_an_average():
    features, seed = torch.randn(2, 8, 5, 6), torch.rand(2, 4, 5, 6)
    constant = torch.full_like(seed, 0.7)
    assert torch.allclose(correlate(features, constant), constant, atol=1e-4)
    alike = correlate(torch.randn(2, 8, 1, 1).expand(2, 8, 5, 6), seed)
    assert torch.allclose(alike, seed.mean(dim=(2, 3), keepdim=True).expand_as(seed), atol=1e-4)
    assert not torch.allclose(correlate(features, seed), seed.mean(dim=(2, 3), keepdim=True).expand_as(seed), atol=1e-2)


def test_column_blocks_equal_the_whole_matrix():
    features, seed = torch.randn(2, 8, 9, 10), torch.rand(2, 4, 9, 10)
    whole = correlate(features, seed)
    for entries in (1, 2 * 90 * 7, 2 * 90 * 90):
        assert torch.allclose(correlate(features, seed, entries), whole, atol=1e-6)


def test_u3_which_loss_trains_what(network, images):
    terms = seam_terms(network, images, PRESENT, SeamSettings(rescale=0.5, rv=1.0))
    assert received(network, terms["ecr"]) == received(network, terms["rv"]) == {"correlation"}
    assert received(network, terms["er"]) == received(network, terms["cls"]) == {"backbone", "head"}


def test_an_unknown_class_is_masked_in_the_classification_and_in_nothing_else(network, images):
    unknown = torch.zeros_like(PRESENT)
    unknown[0, (~PRESENT[0]).nonzero()[0]] = True
    network.eval()
    settings = SeamSettings(rescale=0.5, rv=1.0)
    known, doubtful = (seam_terms(network, images, PRESENT, settings, u) for u in (None, unknown))
    assert doubtful["cls"] != known["cls"]
    assert all(torch.equal(doubtful[name], known[name]) for name in ("er", "ecr", "rv"))


def test_u8_an_absent_class_with_huge_maps_changes_nothing():
    raw = torch.randn(2, 5, 6, 6)
    louder = raw.clone()
    louder[0, 1] = louder[1, 3] = 1e6
    assert torch.equal(pixel_seed(louder, PRESENT), pixel_seed(raw, PRESENT))
    everything = torch.ones_like(PRESENT)
    assert not torch.equal(pixel_seed(louder, everything), pixel_seed(raw, everything)), "the negative control"


def test_logits_without_enlarged_maps():
    raw = torch.randn(2, 5, 6, 8)
    assert torch.allclose(pooled_logits(raw, (48, 60)), enlarged(raw, (48, 60)).mean(dim=(2, 3)), atol=1e-5)


def spec(kind, **changes):
    settings = {"seam": SeamSettings, "cpn": CpnSettings}.get(kind, TappedSettings)
    own = {"rescale": 0.67} if kind == "seam" else {}
    return NetworkSpec[settings](kind=kind, backbone="tiny", seed=0, settings=settings(**COMMON | own | changes))


def train(folder, network_spec, data, labels, start=None, **options):
    job = job_in(folder, data, labels, **options)
    train_response(network_spec, job, start)
    return job.outputs


@pytest.fixture(scope="module")
def warm(scenes, image_set, tmp_path_factory):
    return train(tmp_path_factory.mktemp("warm"), spec("warm"), scenes.data, image_set).model


@pytest.mark.parametrize("kind", ["plain", "seam", "cpn"])
def test_stopped_and_continued_equals_undisturbed_and_maps_are_scores(kind, warm, scenes, image_set, tmp_path):
    whole = train(tmp_path / "whole", spec(kind), scenes.data, image_set, warm)
    train(tmp_path / "parts", spec(kind), scenes.data, image_set, warm, stop_after=2)
    parts = train(tmp_path / "parts", spec(kind), scenes.data, image_set, warm)
    assert parts.model.read_bytes() == whole.model.read_bytes()
    maps = response_maps(whole.model, CAM, MapJob(scenes.data, image_set, CPU, tmp_path / "maps.json"))
    scores = maps.read(image_set.images[0].name).scores
    assert scores.min() >= 0 and 0.9 < scores.max() <= 1
