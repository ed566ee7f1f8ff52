"""Figures of test images: which images, what is marked, captions and legends; and which failures are found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from simformer.analysis.figures.failures import HEADINGS, all_failures, failures_figure, find_failures, fused_classes
from simformer.analysis.figures.pictures import Scene, choose_images, masked, named_images
from simformer.analysis.figures.proposals import SHOWN, Proposals, proposals_figure, propose, rank_by_novel_score
from simformer.analysis.figures.qualitative import qualitative_figure
from simformer.analysis.figures.similarity import (
    choose_examples,
    innermost,
    named_example,
    similarity_figure,
    similarity_maps,
    with_pair_statistics,
)
from simformer.analysis.figures.style import draw_figure
from simformer.build import TrainedModel, build_training
from simformer.config.settings import InferenceSettings
from simformer.data.index import ImageRecord
from simformer.data.palette import class_colours
from simformer.errors import UserError
from simformer.inference import class_scores, network_input, predict, proposals

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(scenes, masked, new_config):
    """An untrained network with SimNet."""
    parts = build_training(new_config(), scenes.data, masked, None, CPU)
    return TrainedModel(parts.model.eval(), parts.simnet.eval(), new_config(), scenes.index.identity)


@pytest.fixture(scope="module")
def scene(scenes, split):
    return Scene(scenes.data, scenes.index, split, InferenceSettings(short_edge=48, max_long_edge=96), CPU)


def legend(figure):
    return [text.get_text() for found in figure.legends for text in found.get_texts()]


def smallest_type(figure):
    figure.canvas.draw()
    texts = figure.findobj(lambda artist: hasattr(artist, "get_fontsize") and artist.get_visible())
    return min(text.get_fontsize() for text in texts if text.get_text())


def test_a_row_per_image_and_a_column_per_model(trained, scene):
    figure = qualitative_figure({"One": trained, "Two": trained}, scene, [], 3)
    axes = np.array(figure.axes).reshape(3, 5)
    assert [axis.get_title() for axis in axes[0]] == ["image", "truth", "base / novel", "One", "Two"]
    record = choose_images(scene.index.test, scene.split.novel, 3)[1]
    colours = class_colours(len(scene.index.classes))
    np.testing.assert_array_equal(axes[1, 0].images[0].get_array(), scene.image(record))
    np.testing.assert_array_equal(axes[1, 1].images[0].get_array(), colours[scene.truth(record)])
    np.testing.assert_array_equal(axes[1, 3].images[0].get_array(), axes[1, 4].images[0].get_array())
    ((_, expected),) = predict(trained.model, [scene.file(record)], scene.inference, CPU)
    np.testing.assert_array_equal(axes[1, 3].images[0].get_array(), colours[expected])
    assert legend(figure)[-3:] == ["base", "novel (*)", "unlabelled"]
    starred = {name.rstrip("*") for name in legend(figure)[:-3] if name.endswith("*")}
    assert starred and starred <= {scene.index.classes[c] for c in scene.split.novel}
    assert figure.get_figwidth() == pytest.approx(174 / 25.4)


def test_both_files_are_written_and_equal_each_time(trained, scene, tmp_path):
    names = [scene.index.test[0].name]
    for folder in ("a", "b"):
        output = tmp_path / folder / "fig3.pdf"
        draw_figure(output, "Fig. 3", qualitative_figure, {"One": trained}, scene, names, 9)
    for name in ("fig3.pdf", "fig3.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert b"Fig. 3" in (tmp_path / "a/fig3.pdf").read_bytes()
    assert len(np.unique(np.array(Image.open(tmp_path / "a/fig3.png")))) > 100


def test_named_images_and_a_mistyped_name(scene):
    first, second = scene.index.test[:2]
    assert named_images(scene.index.test, [second.name, first.name]) == [second, first]
    with pytest.raises(UserError, match=f"no test image is named '{first.name}x'; did you mean"):
        named_images(scene.index.test, [first.name + "x"])


def test_a_mask_is_in_its_colour_and_the_rest_is_gray():
    image = np.random.default_rng(0).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    mask = np.zeros((4, 4), dtype=bool)
    mask[0] = True
    picture = masked(image, mask, np.array([250, 0, 0], dtype=np.uint8)).astype(int)
    assert (picture[1:].max(axis=-1) == picture[1:].min(axis=-1)).all()
    assert (picture[0, :, 0] > picture[0, :, 1] + 150).all()


def test_rank_by_novel_score_by_hand():
    classes = np.array([[0.9, 0.05, 0.05, 0.0], [0.1, 0.6, 0.2, 0.1], [0.0, 0.1, 0.8, 0.1], [0.1, 0.2, 0.6, 0.1]])
    assert [(q, c) for q, c, _ in rank_by_novel_score(classes, (1, 2))] == [(2, 2), (1, 1), (3, 2), (0, 1)]
    assert rank_by_novel_score(classes, (1, 2))[0][2] == 0.8


def test_proposals_are_what_inference_fuses(trained, scene):
    record = scene.index.test[0]
    images = network_input(scene.file(record), scene.inference, CPU)
    classes, masks = proposals(trained.model, images, (record.height, record.width))
    fused = torch.einsum("bnk,bnhw->bkhw", classes[..., :-1], masks)
    torch.testing.assert_close(fused, class_scores(trained.model, images, (record.height, record.width)))
    larger = replace(scene.file(record), height=60, width=70)
    assert proposals(trained.model, network_input(larger, scene.inference, CPU), (60, 70))[1].shape[-2:] == (60, 70)


def test_captions_of_proposals_tell_class_score_and_presence(trained, scene):
    figure = proposals_figure(trained, scene, [], 2)
    axes = np.array(figure.axes).reshape(2, 2 + SHOWN)
    record = choose_images(scene.index.test, scene.split.novel, 2)[0]
    ranked = rank_by_novel_score(propose(trained, scene, record).classes, scene.split.novel)
    for axis, (_, c, score) in zip(axes[0, 2:], ranked, strict=False):
        present = "in the image" if c in record.labels else "not in the image"
        assert axis.get_xlabel() == f"{scene.index.classes[c]} {score:.2f}\n{present}"
        assert axis.spines["top"].get_linestyle() == ("-" if c in record.labels else "--")
    assert axes[0, 1].get_xlabel().startswith("novel: ")
    assert smallest_type(figure) >= 6


def test_innermost_pixel():
    region = np.zeros((9, 9), dtype=bool)
    region[0:5, 0:5] = True
    assert innermost(region) == (2, 2)
    region[8, 8] = True
    assert innermost(region) == (2, 2)


def test_examples_show_their_class_in_both_images_and_the_pixel_is_of_it(scene):
    examples = choose_examples(scene, 4)
    assert len(examples) == 4 and examples[0].class_id in scene.split.novel
    for example in examples:
        assert example.class_id in set(example.first.labels) & set(example.second.labels)
        assert example.first != example.second
        assert scene.truth(example.first)[example.pixel] == example.class_id


def test_images_without_a_common_class_are_no_examples(scene):
    alone = replace(scene, index=replace(scene.index, test=scene.index.test[:1]))
    with pytest.raises(UserError, match=r"images: no class covers 2% of two test images, .* images: \[one, another\]"):
        choose_examples(alone, 4)


def test_a_named_pair_and_pixel(scene):
    first, second = scene.index.test[:2]
    example = named_example(scene, [first.name, second.name], [3, 40])
    assert (example.first, example.second, example.pixel) == (first, second, (3, 40))
    assert example.class_id == scene.truth(first)[3, 40]
    with pytest.raises(UserError, match="is outside of"):
        named_example(scene, [first.name, second.name], [3, 48])
    with pytest.raises(UserError, match="two images; found 1"):
        named_example(scene, [first.name], None)


def test_statistics_are_those_of_the_teacher_on_the_same_pixels(trained):
    generator = torch.Generator().manual_seed(0)
    embeddings = [torch.randn(1, 32, 4, 4, generator=generator) for _ in range(2)]
    before = {name: value.clone() for name, value in trained.simnet.state_dict().items()}
    copied = with_pair_statistics(trained.simnet, embeddings, 16)
    features = torch.stack([e[0].flatten(1).T for e in embeddings])
    teacher = trained.simnet.train()(features, features.flip(0))
    trained.simnet.eval()
    trained.simnet.load_state_dict(before)
    torch.testing.assert_close(copied(features, features.flip(0)), teacher, atol=3e-3, rtol=0)
    assert not torch.allclose(trained.simnet(features, features.flip(0)), teacher, atol=1e-2)
    assert not copied.training


def test_similarity_maps_are_simnet_on_the_chosen_pixel(trained, scene):
    example = choose_examples(scene, 1)[0]
    maps = similarity_maps(trained, scene, example)
    assert [m.shape for m in maps] == [(12, 12), (12, 12)]
    assert all(((m >= 0) & (m <= 1)).all() for m in maps)
    figure = similarity_figure(trained, scene, [example])
    *panels, bar = figure.axes
    assert len(panels) == 4 and "probability of the same class" in bar.get_xlabel()
    np.testing.assert_array_equal(panels[3].images[-1].get_array(), maps[1])
    marked = [axis.lines[0].get_xydata()[0].tolist() for axis in panels[:2]]
    assert marked == [[example.pixel[1], example.pixel[0]]] * 2
    with pytest.raises(UserError, match="has no SimNet"):
        similarity_maps(TrainedModel(trained.model, None, trained.config, trained.identity), scene, example)


RECORD = ImageRecord("toy", "toy.png", "toy.png", 10, 10, (0, 1, 2), "", "")


def toy(first_class, first_score, second_score):
    """Proposals of a 10 x 10 image: a strip on its left is class 1 (novel); one mask fits it, another covers all."""
    truth = np.zeros((10, 10), dtype=np.uint8)
    truth[:, :4] = 1
    masks = np.zeros((3, 10, 10), dtype=np.float32)
    masks[0, :, :4], masks[1] = 0.9, 0.95
    classes = np.full((3, 4), 0.01, dtype=np.float32)
    classes[0, first_class], classes[1, 0], classes[2, 3] = first_score, second_score, 0.99
    return Proposals(classes, masks), truth


@pytest.mark.parametrize(
    ("first_class", "scores", "expected"),
    [
        (1, (0.6, 0.9), ("drowned", 0)),  # the right proposal, but the neighbour's mask is surer
        (2, (0.9, 0.3), ("misclassified", 2)),  # the mask that fits has another class
        (1, (0.9, 0.3), None),  # control: predicted right
    ],
)
def test_failures_of_both_kinds_by_hand(first_class, scores, expected):
    found, truth = toy(first_class, *scores)
    failures = list(find_failures(found, fused_classes(found), truth, RECORD, novel=(1, 2)))
    if expected is None:
        assert not failures
        return
    (failure,) = failures
    assert (failure.kind, failure.predicted, failure.class_id, failure.lost) == (*expected, 1, 40)
    assert failure.score == pytest.approx(scores[0])
    np.testing.assert_array_equal(failure.mask, truth == 1)


def test_a_lost_region_that_no_mask_fits_is_of_neither_kind():
    found, truth = toy(1, 0.6, 0.9)
    found.masks[0, 3:] = 0
    assert not list(find_failures(found, fused_classes(found), truth, RECORD, novel=(1, 2)))


def test_base_regions_and_tiny_ones_are_left_out():
    found, truth = toy(1, 0.6, 0.9)
    assert not list(find_failures(found, fused_classes(found), truth, RECORD, novel=(2,)))
    small = np.where(np.arange(400) < 3, 1, 0).reshape(20, 20).astype(np.uint8)
    masks = np.stack([small, np.ones_like(small), np.zeros_like(small)]).astype(np.float32)
    tiny = Proposals(found.classes, masks)
    assert not list(find_failures(tiny, fused_classes(tiny), small, RECORD, novel=(1,)))


def test_the_worst_failures_are_drawn_and_none_is_said(trained, scene, tmp_path):
    draw_figure(tmp_path / "fig7.pdf", "Fig. 7", failures_figure, scene, all_failures(trained, scene, []), 2)
    assert (tmp_path / "fig7.pdf").read_bytes().startswith(b"%PDF") and (tmp_path / "fig7.png").exists()
    figure = failures_figure(scene, [], 2)
    headings = [" ".join(part._suptitle.get_text().split()) for part in figure.subfigs]
    assert headings == [f"{text} 0 found in the test images" for text in HEADINGS.values()]
    assert not figure.axes
