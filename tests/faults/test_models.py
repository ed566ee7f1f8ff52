"""Models and networks whose tensors or facts are not those of their network: one line that names the first of them."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from simformer.baselines.settings import ClassifierSettings
from simformer.baselines.training.network_file import read_network
from simformer.cli import main
from tests.faults.harness import complaint, refused
from tests.faults.test_identity import cam, evaluate, pseudo
from tests.faults.world import command

WEIGHT = "model.transformer.queries.weight"


def rewrite(path, tensors=None, facts=None):
    """Write a file of tensors again, after a change of its tensors or of the facts in its metadata."""
    with safe_open(path, framework="pt") as stream:
        content = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
        ((key, text),) = stream.metadata().items()
    known = json.loads(text)
    if tensors is not None:
        tensors(content)
    if facts is not None:
        known = facts(known)
    save_file(content, path, {key: json.dumps(known) if not isinstance(known, str) else known})


def first(content, of="model."):
    """Return the name of a weight of more than one dimension."""
    return next(name for name in sorted(content) if name.startswith(of) and content[name].ndim > 1)


def drop(content):
    content.pop(first(content))


def drop_simnet(content):
    for name in [name for name in content if name.startswith("simnet.")]:
        content.pop(name)


def poison(value, of="model."):
    def change(content):
        content[first(content, of)].view(-1)[0] = value

    return change


def resize(content):
    content[first(content)] = torch.zeros(3, 3)


TENSORS = {
    "one missing": (drop, "1 missing (model."),
    "one too many": (lambda c: c.update(extra=torch.zeros(1)), "1 unexpected (extra)"),
    "one too many of the network": (lambda c: c.update({"model.x": torch.zeros(1)}), "1 unexpected (model.x)"),
    "one of another shape": (resize, "1 wrong shape (model.", "(3, 3) instead of ("),
    "transposed": (
        lambda c: c.update({first(c, "simnet."): c[first(c, "simnet.")].flatten()[:-1].clone()}),
        "1 wrong shape (simnet.", "instead of (",
    ),
    "NaN": (poison(float("nan")), "1 not finite (model."),
    "infinity": (poison(float("-inf")), "1 not finite (model."),
    "NaN in SimNet": (poison(float("nan"), "simnet."), "1 not finite (simnet."),
    "no SimNet": (drop_simnet, " missing (simnet.", "more)"),
    "none at all": (lambda c: c.clear(), " missing (model.", "more)"),
    "several kinds": (
        lambda c: (drop(c), c.update(extra=torch.zeros(1)), poison(float("nan"))(c)),
        "1 missing (model.", "1 unexpected (extra)", "1 not finite (model.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TENSORS)
def test_tensors_of_a_model(world, capsys, name):
    change, *says = TENSORS[name]
    rewrite(world / "model1/model.safetensors", change)
    refused(evaluate(world), world, capsys, "model1/model.safetensors", *says, "delete it and run snakemake again")


def without(name):
    return lambda facts: {key: value for key, value in facts.items() if key != name}


FACTS = {
    "no classes": without("classes"),
    "no dataset, as in older versions": without("dataset"),
    "no hidden classes, as in older versions": without("hidden"),
    "no configuration": without("config"),
    "no hash": without("hash"),
    "another hash": lambda f: f | {"hash": "0" * 16},
    "an edited setting": lambda f: f | {"config": f["config"] | {"optim.lr": 1.0}},
    "an unknown setting": lambda f: f | {"config": f["config"] | {"optim.speed": 1.0, "loss.x": 2}},
    "a setting of another type": lambda f: f | {"config": f["config"] | {"optim.lr": "fast", "seed": -1}},
    "a configuration that is a list": lambda f: f | {"config": [1]},
    "a class less": lambda f: f | {"classes": f["classes"][:-1]},
    "a class that is a number": lambda f: f | {"classes": [*f["classes"][:-1], 4]},
    "no list of classes": lambda f: f | {"classes": "sky"},
    "hidden ids that are none": lambda f: f | {"hidden": [2, 77]},
    "hidden ids in disorder": lambda f: f | {"hidden": [3, 2]},
    "hidden ids that are names": lambda f: f | {"hidden": ["cow"]},
    "a dataset that is a number": lambda f: f | {"dataset": 3},
    "pixels normalised in another way": lambda f: f | {"pixels": {"channels": "BGR"}},
    "a test size below the smallest": lambda f: f | {"inference": {"short_edge": 0}},
    "a test size that is a text": lambda f: f | {"inference": "640"},
    "a colour less": lambda f: f | {"colours": f["colours"][:-1]},
    "a colour that is none": lambda f: f | {"colours": ["red", *f["colours"][1:]]},
    "facts that are a list": lambda f: [1],
    "facts that are no JSON": lambda f: "{",
    "facts nested too deep": lambda f: "[" * 100_000,
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_a_model(world, capsys, name):
    rewrite(world / "model1/model.safetensors", facts=FACTS[name])
    refused(evaluate(world), world, capsys, "model1/model.safetensors", "again")


FILES = {
    "missing": None,
    "empty": b"",
    "text": b"hello",
    "zeros": bytes(5000),
    "a huge header": b"\xff" * 9 + b"{}",
    "cut off": "cut off",
    "a folder": "a folder",
}


def spoil(path, how):
    data = path.read_bytes()
    path.unlink()
    if FILES[how] == "a folder":
        path.mkdir()
    elif FILES[how] is not None:
        path.write_bytes(data[: len(data) // 2] if FILES[how] == "cut off" else FILES[how])


@pytest.mark.parametrize("how", FILES)
def test_damaged_models(world, capsys, how):
    spoil(world / "model1/model.safetensors", how)
    refused(
        evaluate(world), world, capsys, "model1/model.safetensors", "check the path" if how == "missing" else "train"
    )


@pytest.mark.parametrize("how", FILES)
def test_damaged_networks_of_baselines(world, capsys, how):
    spoil(world / "classifier.safetensors", how)
    refused(cam(world, "image"), world, capsys, "classifier.safetensors", "train")


def head(content):
    return content["head.weight"]


NETWORKS = {
    "one missing": ({"tensors": lambda c: c.pop("head.weight")}, "1 missing (head.weight)"),
    "one too many": ({"tensors": lambda c: c.update(x=torch.zeros(1))}, "1 unexpected (x)"),
    "another shape": (
        {"tensors": lambda c: c.update({"head.weight": head(c)[:, :3].clone()})},
        "1 wrong shape (head.weight (5, 3, 1, 1)",
    ),
    "not finite": ({"tensors": lambda c: head(c).fill_(float("inf"))}, "1 not finite (head.weight)"),
    "no classes": ({"facts": without("classes")}, "older version"),
    "no dataset": ({"facts": without("dataset")}, "older version"),
    "no hidden classes": ({"facts": without("hidden")}, "older version"),
    "no specification": ({"facts": without("spec")}, "not a network of a baseline"),
    "no hash": ({"facts": without("hash")}, "do not fit their hash"),
    "another seed": ({"facts": lambda f: f | {"spec": f["spec"] | {"seed": 5}}}, "do not fit their hash"),
    "an unknown setting": ({"facts": lambda f: f | {"spec": f["spec"] | {"speed": 5}}}, "damaged", "speed"),
    "another kind": ({"facts": lambda f: f | {"spec": f["spec"] | {"kind": "psa"}}}, "kind 'psa'"),
    "a kind that is none": ({"facts": lambda f: f | {"spec": {}}}, "not a network of a baseline"),
    "another dataset": ({"facts": lambda f: f | {"dataset": "0" * 16}}, "belongs to another dataset"),
    "masks of a class seen": ({"facts": lambda f: f | {"hidden": [0, 1]}}, "belongs to another split"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_baselines(world, capsys, name):
    change, *says = NETWORKS[name]
    rewrite(world / "classifier.safetensors", **change)
    refused(cam(world, "image"), world, capsys, "classifier.safetensors", *says)


def test_nothing_of_a_network_is_changed_before_a_misfit_is_told(world):
    stored = read_network(world / "classifier.safetensors", "classifier", ClassifierSettings)
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    with pytest.raises(Exception, match="its tensors are not those of its network"):
        stored.fill(network)
    assert torch.equal(network.weight, before)


def test_an_imported_model_may_be_measured_but_makes_no_labels(world, capsys):
    """It does not say which classes had no mask in its training, unless it was imported with --labels."""
    rewrite(world / "model1/model.safetensors", facts=lambda f: f | {"hidden": None, "dataset": None, "origin": {}})
    assert main(evaluate(world)) == 0
    refused(pseudo(world), world, capsys, "model1/model.safetensors", "import it again with --labels")


LEARNERS = {
    "classifier from a split's labels": ("classifier", {}, "masked1", "'images'"),
    "classifier from all masks": ("classifier", {}, "true", "'images'"),
    "affinity from all masks": ("affinity", {"kind": "psa"}, "true", "'seeds'"),
    "segmentation from all masks": ("segmentation", {"kind": "segmentation"}, "true", "'seeds'"),
    "boundaries from all masks": ("retab_boundary", {"kind": "retab_boundary"}, "true", "'weak' or 'control'"),
    "boundaries from filled labels": ("retab_boundary", {"kind": "retab_boundary"}, "fill1", "'weak' or 'control'"),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_what_networks_of_baselines_learn_from(world, capsys, name):
    stage, changes, given, expected = LEARNERS[name]
    spec = {"kind": "classifier", "backbone": "tiny", "seed": 0, "settings": {}} | changes
    files = {"labels": world / given / "labels.json", "data": world / "data", "state": world / "new"}
    outputs = {"network": world / "n.safetensors", "log": world / "n.csv", "facts": world / "n.json"}
    line = complaint(command(stage, spec=json.dumps(spec), **files, **outputs, device="cpu"), capsys)
    assert f"{given}/labels.json" in line and expected in line and not outputs["network"].exists()
