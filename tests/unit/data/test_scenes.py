"""The embedded demo: determinism, layout, and the facts that make it a fair test bed."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simformer.config.settings import IGNORE
from simformer.config.sources import SceneSettings
from simformer.data.audit import audit
from simformer.data.scenes import (
    BODY_PART,
    CLASS_NAMES,
    CLUTTER_PART,
    FAVOURITES,
    HEAD_PART,
    PARTNERS,
    STUFF_NAMES,
    STUFF_PART,
    THING_NAMES,
    generate_scenes,
    render_scene,
)
from tests.pipeline import NOVEL_NAMES

K = len(CLASS_NAMES)


def digest(root):
    """Return the checksum of every file below a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def class_colours(scenes, part):
    """Return the mean colour of each thing class over the pixels of one part, float [10, 3]."""
    pixels = np.stack([scene.image for scene in scenes])
    labels = np.stack([scene.label for scene in scenes])
    parts = np.stack([scene.parts for scene in scenes])
    return np.array([pixels[(labels == CLASS_NAMES.index(n)) & (parts == part)].mean(0) for n in THING_NAMES])


def spread(colours):
    """Return the mean distance between the colours of two classes."""
    return np.linalg.norm(colours[:, None] - colours[None], axis=-1).sum() / (len(colours) * (len(colours) - 1))


@pytest.fixture(scope="module")
def scenes():
    """320 training scenes of medium difficulty, small."""
    return [render_scene(SceneSettings(size=48), 0, i) for i in range(320)]


@pytest.fixture(scope="module")
def present(scenes):
    """Return which class is in which scene, bool [320, K]."""
    return np.array([[(scene.label == k).any() for k in range(K)] for scene in scenes])


def test_equal_settings_give_equal_bytes_and_another_seed_others(tmp_path):
    small = SceneSettings(size=48, train=5, test=3, seed=7)
    generate_scenes(tmp_path / "a", small)
    generate_scenes(tmp_path / "b", small)
    generate_scenes(tmp_path / "c", small.model_copy(update={"seed": 8}))
    a, b, c = (digest(tmp_path / name) for name in "abc")
    assert a == b
    assert sum(a[name] != c[name] for name in a if name.endswith(".png")) == 16


@pytest.mark.slow
def test_several_processes_give_equal_bytes(tmp_path):
    settings = SceneSettings(size=32, train=3, test=2)
    for workers in (1, 2):
        generate_scenes(tmp_path / str(workers), settings, workers)
    assert digest(tmp_path / "1") == digest(tmp_path / "2")


@settings(max_examples=10, deadline=None)
@given(index=st.integers(0, 5000), seed=st.integers(-3, 3), split=st.integers(0, 1))
def test_a_scene_depends_on_seed_split_and_index_alone(index, seed, split):
    one = render_scene(SceneSettings(size=32, seed=seed), split, index)
    other = render_scene(SceneSettings(size=32, seed=seed, train=9, test=9), split, index)
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(one.label, other.label)
    assert (render_scene(SceneSettings(size=32, seed=seed), 1 - split, index).image != one.image).any()


def test_the_layout_passes_the_audit_and_a_rerun_replaces_it(tmp_path):
    root = tmp_path / "data" / "scenes"
    generate_scenes(root, SceneSettings(size=48, train=40, test=24))
    index, report = audit(root, workers=1)
    assert index.classes == CLASS_NAMES
    assert (len(index.train), len(index.test)) == (40, 24)
    assert min(report.train.images_per_class) > 0 and min(report.test.images_per_class) > 0
    generate_scenes(root, SceneSettings(size=32, train=2, test=1))
    assert len(digest(root)) == 2 * 3 + 3
    assert json.loads((root / "classes.json").read_text())["names"] == list(CLASS_NAMES)
    assert [path.name for path in root.parent.iterdir()] == ["scenes"]


@settings(max_examples=25, deadline=None)
@given(size=st.sampled_from([32, 48, 50, 96, 130]), difficulty=st.floats(0, 1), index=st.integers(0, 999))
def test_any_setting_gives_a_valid_scene(size, difficulty, index):
    scene = render_scene(SceneSettings(size=size, difficulty=difficulty), 0, index)
    assert scene.image.shape == (size, size, 3) and scene.image.dtype == np.uint8
    assert scene.label.shape == scene.parts.shape == (size, size) and scene.label.dtype == np.uint8
    assert ((scene.label < K) | (scene.label == IGNORE)).all()
    assert ((scene.label == IGNORE) == (scene.parts == CLUTTER_PART)).all()
    things = np.isin(scene.label, [CLASS_NAMES.index(name) for name in THING_NAMES])
    assert (things == np.isin(scene.parts, [BODY_PART, HEAD_PART])).all()
    assert (scene.label < K).any()


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_about_an_eighth_of_all_pixels_is_clutter(difficulty):
    settings_ = SceneSettings(size=48, difficulty=difficulty)
    shares = [(render_scene(settings_, 0, i).label == IGNORE).mean() for i in range(160)]
    assert 0.08 < np.mean(shares) < 0.17
    assert np.mean(np.array(shares) > 0.02) > 0.8


def test_less_clutter_covers_less_of_the_same_scenes():
    shares = {}
    for clutter in (0.0, 0.25, 1.0):
        settings_ = SceneSettings(size=48, difficulty=0.1, clutter=clutter)
        labels = np.stack([render_scene(settings_, 0, i).label for i in range(80)])
        shares[clutter] = (labels == IGNORE).mean()
        if clutter == 0.0:
            clear = labels
        assert (labels[labels != IGNORE] == clear[labels != IGNORE]).mean() > 0.99
    assert shares[0.0] < 0.005 < 0.015 < shares[0.25] < 0.045 < shares[1.0]


def test_clutter_is_no_class_of_its_own(scenes):
    """Its colour varies between scenes more than that of any class does."""

    def variation(part_of):
        colours = [scene.image[part_of(scene)].mean(0) for scene in scenes if part_of(scene).sum() > 20]
        return np.std(colours, axis=0).mean()

    clutter = variation(lambda scene: scene.parts == CLUTTER_PART)
    assert clutter > max(variation(lambda scene, k=k: scene.label == k) for k in range(K))


def test_clutter_borders_things_more_than_its_share_of_the_image(scenes):
    border = touching = 0
    for scene in scenes:
        thing, clutter = np.isin(scene.parts, [BODY_PART, HEAD_PART]), scene.parts == CLUTTER_PART
        for axis, step in [(0, 1), (0, -1), (1, 1), (1, -1)]:
            border += (thing & ~np.roll(thing, step, axis)).sum()
            touching += (thing & np.roll(clutter, step, axis)).sum()
    assert touching / border > 0.22


def test_four_to_five_classes_share_an_image(present):
    assert 4 < present.sum(1).mean() < 5.2
    assert present.mean(0).min() > 0.12


def test_many_images_hold_two_or_more_novel_classes(present):
    novel = present[:, [CLASS_NAMES.index(name) for name in NOVEL_NAMES]].sum(1)
    assert (novel >= 2).sum() / (novel >= 1).sum() > 0.38
    assert (novel == 0).mean() > 0.1
    rng, shares = np.random.default_rng(0), []
    for _ in range(100):
        count = present[:, rng.choice(K, 4, replace=False)].sum(1)
        shares.append((count >= 2).sum() / (count >= 1).sum())
    assert np.mean(shares) > 0.38


@pytest.mark.parametrize(("one", "other"), [*FAVOURITES.items(), PARTNERS])
def test_intended_pairs_co_occur_more_than_chance_but_not_always(present, one, other):
    a, b = present[:, CLASS_NAMES.index(one)], present[:, CLASS_NAMES.index(other)]
    assert (a & b).mean() / (a.mean() * b.mean()) > 1.3
    assert b[a].mean() < 0.75 and a[b].mean() < 0.75


def test_heads_are_smaller_than_bodies_and_tell_the_classes_apart_better(scenes):
    for name in THING_NAMES:
        label = CLASS_NAMES.index(name)
        heads = sum(((scene.label == label) & (scene.parts == HEAD_PART)).sum() for scene in scenes)
        bodies = sum(((scene.label == label) & (scene.parts == BODY_PART)).sum() for scene in scenes)
        assert 0.25 < heads / bodies < 0.7
    assert spread(class_colours(scenes, HEAD_PART)) > 1.5 * spread(class_colours(scenes, BODY_PART))


def test_difficulty_mutes_the_bodies_and_adds_noise():
    easy, hard = ([render_scene(SceneSettings(size=48, difficulty=d), 0, i) for i in range(96)] for d in (0.0, 1.0))
    assert spread(class_colours(hard, BODY_PART)) < 0.7 * spread(class_colours(easy, BODY_PART))

    def noise(scenes_):
        sky = [s for s in scenes_ if ((s.label == CLASS_NAMES.index("sky")) & (s.parts == STUFF_PART)).sum() > 50]
        changes = []
        for scene in sky:
            mask = scene.label == CLASS_NAMES.index("sky")
            inside = mask[1:] & mask[:-1]
            changes.append(np.abs(np.diff(scene.image.astype(float), axis=0))[inside].mean())
        return np.mean(changes)

    assert noise(hard) > 2 * noise(easy)


def test_there_are_six_stuff_and_ten_thing_classes():
    assert (len(STUFF_NAMES), len(THING_NAMES), len(set(CLASS_NAMES))) == (6, 10, 16)
    assert sum(name in STUFF_NAMES for name in NOVEL_NAMES) == 2
