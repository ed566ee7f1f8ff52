"""Class activation maps: what RETAB 6.1 asks of them, and their files."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from simformer.baselines.class_maps.cam import class_activation_maps, divide_by_maximum, inference_size, summed_maps
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.class_maps.map_files import MapSet, gather_maps
from simformer.baselines.classifier import load_classifier
from simformer.baselines.settings import CamSettings
from simformer.data.images import read_image
from simformer.data.shards import WHOLE, Shard
from simformer.data.transforms import normalise
from simformer.errors import UserError
from tests.unit.baselines.stages import CAM, CPU, cam, made_maps


@pytest.fixture(scope="module")
def network(stages):
    return load_classifier(stages.classifier.model, CPU)[0]


@pytest.fixture
def image(scenes, image_set):
    return read_image(scenes.data / image_set.images[0].image)


def summed(network, images, scales=(1.0,)):
    with torch.inference_mode():
        return summed_maps(lambda x, _: network(x), images, torch.ones(len(images), 3).bool(), scales, CPU)


def test_one_scale_is_the_plain_map_and_its_mirror(network, image):
    x = normalise(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
    with torch.inference_mode():
        raw = network(x).relu() + network(x.flip(-1)).relu().flip(-1)
    assert torch.allclose(summed(network, [image]), F.interpolate(raw, size=(12, 12), mode="bilinear"), atol=1e-5)


def test_scales_add_up_on_a_grid_of_stride_4(network, image):
    odd = np.ascontiguousarray(image[:45, :38])
    both = summed(network, [odd], (1.0, 0.5))
    assert both.shape[-2:] == (math.ceil(45 / 4), math.ceil(38 / 4))
    half = summed(network, [odd], (0.5,))
    assert torch.allclose(both, summed(network, [odd]) + half, atol=1e-5)
    assert half.abs().max() > 0


def test_mirrored_image_gives_mirrored_maps(network, image):
    plain, mirrored = (summed(network, [np.ascontiguousarray(i)], (1.0, 0.5)) for i in (image, image[:, ::-1]))
    assert torch.allclose(mirrored.flip(-1), plain, atol=1e-4)


def test_only_present_classes_have_maps_between_0_and_1(stages, image_set):
    for image in image_set.images:
        maps = stages.maps.read(image.name)
        assert maps.classes == image.classes
        assert maps.scores.shape == (len(image.classes), 12, 12) and maps.scores.dtype == torch.float16
        assert maps.scores.min() >= 0 and maps.scores.max() <= 1
        assert (maps.stride, maps.extent) == (4, (48, 48))
    tops = torch.cat([stages.maps.read(i.name).scores.flatten(1).amax(dim=1) for i in image_set.images])
    assert (tops > 0.99).float().mean() > 0.5


def test_gate_a_louder_absent_class_changes_nothing(scenes, image_set, network):
    few = image_set.images[:3]
    absent = next(c for c in range(len(image_set.classes)) if all(c not in i.classes for i in few))

    def louder(x, present):
        maps = network(x)
        maps[:, absent] += 1e6
        return maps

    runs = [
        list(class_activation_maps(response, scenes.data, few, len(image_set.classes), CAM, CPU))
        for response in (lambda x, _: network(x), louder)
    ]
    assert all(torch.equal(a.scores, b.scores) for (_, a), (_, b) in zip(*runs, strict=True))


def test_the_response_is_told_the_labels_of_each_view(scenes, image_set, network):
    seen = []

    def response(x, present):
        seen.append(present.clone())
        return network(x)

    few = image_set.images[:2]
    list(class_activation_maps(response, scenes.data, few, len(image_set.classes), CamSettings(scales=(1.0,)), CPU))
    labels = [row.nonzero().flatten().tolist() for row in seen[0]]
    assert labels == [list(i.classes) for i in (*few, *few)]


def test_normalisation():
    maps = torch.tensor([[[0.0, 2.0], [1.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = divide_by_maximum(maps)
    assert torch.allclose(found[0], maps[0] / 4, atol=1e-5) and (found[1] == 0).all()


@pytest.mark.parametrize(
    ("size", "settings", "expected"),
    [
        ((480, 640), {}, (480, 640)),
        ((960, 1280), {}, (480, 640)),
        ((100, 50), {}, (100, 50)),
        ((256, 683), {"short_edge": 512, "max_long_edge": 2048}, (512, 1366)),
        ((256, 2560), {"short_edge": 512, "max_long_edge": 1024}, (102, 1024)),
    ],
)
def test_sizes(size, settings, expected):
    assert inference_size(*size, CamSettings(**settings)) == expected


def test_batches_and_shards_do_not_matter(scenes, image_set, stages, tmp_path):
    whole = stages.maps
    manifests = [tmp_path / f"{i}of3.json" for i in (1, 2, 3)]
    settings = CAM.model_copy(update={"batch_images": 1})
    for i in (1, 2, 3):
        cam(stages.classifier.model, scenes.data, image_set, tmp_path, Shard(i, 3), settings)
    joined = gather_maps(manifests, image_set, tmp_path / "maps.json")
    assert list(joined.checksums) == [image.name for image in image_set.images]
    assert MapSet.load(tmp_path / "maps.json") == joined
    for image in image_set.images:
        a, b = joined.read(image.name), whole.read(image.name)
        assert torch.allclose(a.scores.float(), b.scores.float(), atol=2e-3)


def made(labels, manifest, identity="a", value=0.5, shard=WHOLE):
    """Make constant maps; returns them and the names that had to be made."""
    names = []

    def compute(missing):
        for image in missing:
            names.append(image.name)
            yield image, ClassMaps((1,), torch.full((1, 2, 2), value), 4, (8, 8))

    return made_maps(labels, identity, compute, manifest, shard), names


def test_what_is_there_is_not_made_again(image_set, tmp_path):
    images, manifest = image_set.images[:4], tmp_path / "maps.json"
    labels = replace(image_set, images=images)
    first, names = made(labels, manifest)
    assert names == [i.name for i in images]
    before = [(tmp_path / "maps" / f"{n}.npz").read_bytes() for n in names]
    (tmp_path / "maps" / f"{names[2]}.npz").write_bytes(b"broken")
    again, repaired = made(labels, manifest)
    assert repaired == [names[2]] and again == first
    assert [(tmp_path / "maps" / f"{n}.npz").read_bytes() for n in names] == before, "equal bytes"
    assert made(labels, manifest, identity="b")[1] == names, "other settings make all anew"
    other = (replace(images[0], image_sha256="changed"), *images[1:])
    assert made(replace(image_set, images=other), manifest, identity="b")[1] == [names[0]], "so does another image"


def test_missing_changed_or_mixed_maps_are_refused(image_set, tmp_path):
    images = image_set.images[:4]
    labels = replace(image_set, images=images)
    shards = [tmp_path / f"{i}of2.json" for i in (1, 2)]
    made(labels, shards[0], shard=Shard(1, 2))
    with pytest.raises(UserError, match="no maps of 2 images"):
        gather_maps(shards[:1], labels, tmp_path / "maps.json")
    made(labels, shards[1], identity="b", shard=Shard(2, 2))
    with pytest.raises(UserError, match="different settings"):
        gather_maps(shards, labels, tmp_path / "maps.json")
    made(labels, shards[1], shard=Shard(2, 2))
    joined = gather_maps(shards, labels, tmp_path / "maps.json")
    with pytest.raises(UserError, match="no maps of image 'nobody'"):
        joined.read("nobody")
    made(replace(image_set, images=images[:1]), tmp_path / "x.json", identity="c", value=0.25)
    with pytest.raises(UserError, match="not the file that maps.json names"):
        joined.read(images[0].name)
    with pytest.raises(UserError, match="are not finite"):
        made(labels, tmp_path / "y.json", identity="d", value=math.nan)


def test_upsampling_keeps_to_the_extent():
    """A grid that reaches beyond the image is cut, not squeezed."""
    scores = torch.zeros(1, 2, 3)
    scores[..., 2] = 1.0
    maps = ClassMaps((0,), scores, 4, (8, 9))
    full = maps.at_size(8, 9)
    assert full.shape == (1, 8, 9)
    assert torch.equal(full[0], F.interpolate(scores[None], size=(8, 12), mode="bilinear")[0, 0, :, :9])
    assert maps.at_size(16, 18).shape == (1, 16, 18)
    assert maps.select([0]).classes == (0,)
    with pytest.raises(UserError, match="no map of class 3"):
        maps.select([3])
