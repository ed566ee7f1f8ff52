"""What must not change the loss, on ordinary and on degenerate images (see also test_total.py)."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simformer.config.settings import LossSettings, MatchingSettings, SimilaritySettings
from simformer.data.targets import make_target
from simformer.losses.mask import count_masks
from simformer.losses.similarity import PairBalance
from simformer.losses.total import SimFormerLoss, total
from simformer.models.simnet import SimNet
from tests.equations.one_pair import distillation_loss, similarity_loss

NOVEL = (4, 5, 6)
SIMILARITY = SimilaritySettings(points=8, balance_stride=2)
KINDS = ("plain", "blank", "one base class", "one novel class", "vanished mask", "crowded")
PROPOSAL_TERMS = ("cls", "focal", "dice", "comp")
"""Terms without random pixels."""

some_kinds = st.lists(st.sampled_from(KINDS), min_size=4, max_size=4)
properties = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.fixture
def new_images(new_batch, blank_target):
    """Factory of four images (two pairs) of given kinds: output with 5 queries, and targets."""

    def target(kind, plain):
        label_map, padding = torch.full((16, 16), 255, dtype=torch.uint8), torch.zeros(16, 16, dtype=torch.bool)
        if kind == "one base class":
            return make_target(label_map.fill_(2), padding, [])
        if kind == "one novel class":
            return make_target(label_map, padding, [5])
        if kind == "vanished mask":  # class 0 is one pixel, which the 4 x 4 grid misses
            label_map[:8], label_map[8:], label_map[5, 5] = 2, 1, 0
            return make_target(label_map, padding, [4])
        if kind == "crowded":  # seven classes, five queries
            label_map[:] = torch.arange(4, dtype=torch.uint8).repeat_interleave(4)
            return make_target(label_map, padding, NOVEL)
        return blank_target if kind == "blank" else plain

    def make(kinds, seed=0):
        output, plain = new_batch(seed, images=4, queries=5, dtype=torch.float64)
        return output, [target(*pair) for pair in zip(kinds, plain, strict=True)]

    return make


def reordered(output, images=slice(None), queries=slice(None), classes=slice(None)):
    """New leaves with images, queries and class columns in another order."""
    other = copy.copy(output)
    other.class_logits = output.class_logits.detach()[:, images][:, :, queries][..., classes].requires_grad_()
    other.mask_logits = output.mask_logits.detach()[:, images][:, :, queries].requires_grad_()
    other.embeddings = output.embeddings.detach()[images].requires_grad_()
    return other


def terms_of(output, targets, seeds=(1, 2), group_images=2):
    """Terms of the loss of all images as one step, and the gradient with respect to the logits."""
    torch.manual_seed(0)
    simnet = SimNet(8, 16).double().train() if seeds else None
    loss = SimFormerLoss(LossSettings(), MatchingSettings(), SIMILARITY, NOVEL, group_images)
    groups = len(targets) // group_images
    arguments = dict(num_masks=count_masks(targets), num_groups=groups, simnet=simnet, seeds=seeds)
    terms = loss(output, targets, **arguments)
    gradient = torch.autograd.grad(total(terms), [output.class_logits, output.mask_logits])
    return {name: term.detach() for name, term in terms.items()}, gradient


def assert_same(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


@properties
@given(kinds=some_kinds, order=st.permutations(range(5)), seed=st.integers(0, 99))
def test_order_of_queries(new_images, kinds, order, seed):
    output, targets = new_images(kinds, seed)
    terms, gradient = terms_of(output, targets)
    assert all(value.isfinite() for value in terms.values()) and all(g.isfinite().all() for g in gradient)
    other_terms, other_gradient = terms_of(reordered(output, queries=order), targets)
    assert_same(other_terms, terms)
    assert_same(other_gradient, tuple(g[:, :, order] for g in gradient))


@properties
@given(kinds=some_kinds, seed=st.integers(0, 99))
def test_order_of_groups(new_images, kinds, seed):
    """A pair takes its random pixels along: the seed is the group's."""
    output, targets = new_images(kinds, seed)
    terms, gradient = terms_of(output, targets, seeds=(1, 2))
    order = [2, 3, 0, 1]
    other = terms_of(reordered(output, images=order), [targets[i] for i in order], seeds=(2, 1))
    assert_same(other, (terms, tuple(g[:, order] for g in gradient)))


@properties
@given(kinds=some_kinds, order=st.permutations(range(4)), seed=st.integers(0, 99))
def test_order_of_images_inside_a_group(new_images, kinds, order, seed):
    """For the terms without random pixels; one group of four images, without SimNet."""
    output, targets = new_images(kinds, seed)
    terms, gradient = terms_of(output, targets, seeds=(), group_images=4)
    assert set(terms) == set(PROPOSAL_TERMS)
    other = terms_of(reordered(output, images=order), [targets[i] for i in order], seeds=(), group_images=4)
    assert_same(other, (terms, tuple(g[:, order] for g in gradient)))


def test_input_and_reference_image_change_places():
    """L_sim and L_dist compare in both directions: for the same pixels, the pair's order does not matter."""
    generator = torch.Generator().manual_seed(0)
    features, scores = (torch.randn(2, 6, n, generator=generator, dtype=torch.float64) for n in (8, 3))
    labels = torch.tensor([[0, 1, 1, 255, 2, 0], [1, 1, 255, 0, 0, 3]])
    torch.manual_seed(0)
    simnet = SimNet(8, 16).double().train()

    def both(flip):
        f, s, y = (t.flip(0) if flip else t for t in (features, scores.exp(), labels))
        sim = similarity_loss(f, y, simnet, PairBalance(25, 2))
        return torch.autograd.grad(sim, simnet.parameters()), sim.detach(), distillation_loss(s, f, simnet, SIMILARITY)

    assert_same(both(True), both(False))


@properties
@given(
    kinds=some_kinds,
    base=st.permutations(range(4)),
    novel=st.permutations(NOVEL),
    seed=st.integers(0, 99),
)
def test_names_of_classes(new_images, kinds, base, novel, seed):
    """Base classes, and novel ones, may be numbered at will (L_sim draws a class by its number)."""
    output, targets = new_images(kinds, seed)
    new_id = torch.tensor([*base, *novel])
    renumbered = []
    for target in targets:
        label_map = target.label_map.clone()
        for old, new in enumerate(new_id.tolist()):
            label_map[target.label_map == old] = new
        labels = new_id[target.class_ids[~target.has_mask]].tolist()
        renumbered.append(make_target(label_map, target.padding, labels))
    columns = [*new_id.argsort().tolist(), 7]
    terms, _ = terms_of(output, targets)
    other, _ = terms_of(reordered(output, classes=columns), renumbered)
    names = (*PROPOSAL_TERMS, "dist")
    assert_same({name: other[name] for name in names}, {name: terms[name] for name in names})


@properties
@given(kinds=some_kinds, shift=st.floats(-20, 20), seed=st.integers(0, 99))
def test_a_constant_added_to_all_class_logits(new_images, kinds, shift, seed):
    output, targets = new_images(kinds, seed)
    expected = terms_of(output, targets)[0]
    output.class_logits.data[:, :, ::2] += shift
    torch.testing.assert_close(terms_of(output, targets)[0], expected, rtol=1e-6, atol=1e-8)


@properties
@given(kinds=some_kinds, seed=st.integers(0, 99))
def test_a_batch_given_twice(new_images, kinds, seed):
    """The loss is a mean over groups: every image twice in the step leaves it unchanged."""
    output, targets = new_images(kinds, seed)
    expected = terms_of(output, targets)[0]
    order = [0, 1, 2, 3, 0, 1, 2, 3]
    terms = terms_of(reordered(output, images=order), [targets[i] for i in order], seeds=(1, 2, 1, 2))[0]
    assert_same(terms, expected)


@properties
@given(partner=st.sampled_from(KINDS), seed=st.integers(0, 99))
def test_an_image_without_classes_matters_to_the_classification_only(new_images, partner, seed):
    output, targets = new_images(["blank", partner, "plain", "plain"], seed)
    terms, (_, gradient) = terms_of(output, targets, seeds=())
    assert not gradient[:, 0].any()
    output.mask_logits.data[:, 0] += 3
    assert_same(terms_of(output, targets, seeds=())[0], terms)
    output.class_logits.data[:, 0, :, -1] += 3
    changed = terms_of(output, targets, seeds=())[0]
    assert changed.pop("cls") < terms.pop("cls")
    assert_same(changed, terms)
