"""Official checkpoints become model files with the same outputs, bit for bit; whatever does not fit is named."""

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from simformer.build import load_model
from simformer.cli import main
from simformer.errors import UserError
from simformer.models.interchange import export_weights, import_weights
from simformer.models.maskformer import MaskFormer
from simformer.models.model_file import read_model
from simformer.models.simnet import SimNet
from tests.official_layout import as_arrays, official_state

CPU = torch.device("cpu")
PREDICTOR = "sem_seg_head.predictor"
CLASSES = ("sky", "sea", "cow", "sheep", "boat")
SIZES = {"backbone": "resnet18", "queries": 6, "dim": 32, "heads": 2, "feedforward_dim": 16, "decoder_layers": 2}


def randomise(module):
    """Give every tensor its own values, so that no two could be exchanged unseen."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            torch.nn.init.normal_(tensor, 0, 0.1) if "running_var" not in name else torch.nn.init.uniform_(
                tensor, 0.5, 2
            )
        else:
            tensor.fill_(7)
    return module.eval()


@pytest.fixture(scope="module")
def config(new_config):
    return new_config({"model": SIZES})


@pytest.fixture(scope="module")
def networks(config):
    torch.manual_seed(0)
    settings = config.settings.model
    return randomise(MaskFormer(len(CLASSES), settings)), randomise(SimNet(settings.dim, settings.simnet_dim))


def maskformer_pkl(networks, path, newer):
    content = {"model": as_arrays(official_state(networks[0], newer=newer)), "__author__": "somebody"}
    path.write_bytes(pickle.dumps(content))


def release_pth(networks, path):
    """As detectron2 saves it: an ordered state dict with version numbers, the optimiser beside it."""
    state = official_state(*networks)
    state._metadata = {"": {"version": 1}, "sem_seg_head": {"version": 2}}
    optimizer = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4}]}
    torch.save({"model": state, "optimizer": optimizer, "scheduler": {"_last_lr": [1e-4]}, "iteration": 59999}, path)


WRITERS = {
    "old.pkl": lambda networks, path: maskformer_pkl(networks, path, newer=False),
    "new.pkl": lambda networks, path: maskformer_pkl(networks, path, newer=True),
    "release.pth": release_pth,
    "maskformer.pth": lambda networks, path: torch.save({"model": official_state(networks[0])}, path),
    "bare.pth": lambda networks, path: torch.save(dict(official_state(networks[0])), path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_outputs_are_equal_to_the_bit(networks, config, tmp_path, name):
    WRITERS[name](networks, tmp_path / name)
    import_weights(tmp_path / name, config, CLASSES, tmp_path / "model.safetensors")
    trained = load_model(tmp_path / "model.safetensors", CPU)
    assert (trained.config, trained.classes) == (config, CLASSES)
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = networks[0](images), trained.model(images)
    for part in ("class_logits", "mask_logits", "embeddings"):
        assert torch.equal(getattr(found, part), getattr(expected, part))
    if name == "release.pth":
        expected, found = networks[1].state_dict(), trained.simnet.state_dict()
        assert found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)
    else:
        assert trained.simnet is None


def test_the_file_says_where_it_came_from(networks, config, tmp_path):
    WRITERS["old.pkl"](networks, tmp_path / "old.pkl")
    for output in ("a", "b"):
        import_weights(tmp_path / "old.pkl", config, CLASSES, tmp_path / output)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with safe_open(tmp_path / "a", framework="pt") as stream:
        facts = json.loads(stream.metadata()["simformer"])
    assert facts["origin"]["file"] == "old.pkl" and len(facts["origin"]["sha256"]) == 64


@pytest.mark.parametrize("simnet", [False, True])
def test_export_and_import_give_the_same_model_file(networks, config, tmp_path, simnet):
    WRITERS["release.pth" if simnet else "old.pkl"](
        networks, tmp_path / "source.pkl" if not simnet else tmp_path / "source.pth"
    )
    import_weights(next(tmp_path.glob("source.*")), config, CLASSES, tmp_path / "a.safetensors")
    export_weights(tmp_path / "a.safetensors", tmp_path / "exported.pth")
    exported = torch.load(tmp_path / "exported.pth", weights_only=True)["model"]
    expected = official_state(networks[0], networks[1] if simnet else None, newer=False)
    constants = {"criterion.empty_weight", "criterion.ingore_th"}
    assert exported.keys() == expected.keys() - constants
    assert all(torch.equal(tensor, expected[name]) for name, tensor in exported.items())
    import_weights(tmp_path / "exported.pth", config, CLASSES, tmp_path / "b.safetensors")
    first, second = (read_model(tmp_path / f"{name}.safetensors").tensors for name in "ab")
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_tensors_that_share_memory_are_taken_apart(networks, config, tmp_path):
    """torch.save keeps one copy of tied tensors; the model file holds each."""
    state = official_state(networks[0])
    norms = [f"{PREDICTOR}.transformer.decoder.layers.{i}.norm1.bias" for i in (0, 1)]
    state[norms[1]] = state[norms[0]]
    torch.save({"model": state}, tmp_path / "tied.pth")
    import_weights(tmp_path / "tied.pth", config, CLASSES, tmp_path / "model.safetensors")
    stored = read_model(tmp_path / "model.safetensors").tensors
    ours = [stored[f"model.transformer.layers.{i}.self_norm.bias"] for i in (0, 1)]
    assert torch.equal(ours[0], state[norms[0]]) and torch.equal(*ours)


@pytest.fixture
def altered(networks, config, tmp_path):
    """Import the release's file after a change of its state dict; returns the error's text."""

    def run(change, classes=CLASSES, config=config):
        state = official_state(*networks)
        change(state)
        torch.save({"model": state}, tmp_path / "changed.pth")
        with pytest.raises(UserError) as caught:
            import_weights(tmp_path / "changed.pth", config, classes, tmp_path / "model.safetensors")
        assert [p.name for p in tmp_path.iterdir()] == ["changed.pth"]  # nothing is written
        return str(caught.value)

    return run


def test_a_missing_tensor_is_named(altered):
    text = altered(lambda state: state.pop(f"{PREDICTOR}.transformer.decoder.layers.1.norm3.bias"))
    assert f": 1 missing ({PREDICTOR}.transformer.decoder.layers.1.norm3.bias). Nothing was written" in text


def test_a_missing_tensor_of_simnet_is_named(altered):
    name = "criterion.cro_pixel_sim_net.fc_branch.layers.block0.sqz.weight"
    assert f"1 missing ({name})" in altered(lambda state: state.pop(name))


@pytest.mark.parametrize(
    "name",
    [
        "something.else",
        f"{PREDICTOR}.transformer.encoder.layers.0.norm1.bias",
        "criterion.cro_pixel_sim_net.layers.Conv0.bias",
    ],
)
def test_an_unexpected_tensor_is_named(altered, name):
    text = altered(lambda state: state.update({name: torch.zeros(1)}))
    assert f"1 unexpected ({name})" in text and "\n" not in text


def test_a_wrong_shape_is_named(altered):
    name = f"{PREDICTOR}.query_embed.weight"
    text = altered(lambda state: state.update({name: torch.zeros(5, 32)}))
    assert f"1 wrong shape ({name} (5, 32) instead of (6, 32))" in text
    assert text.endswith("Give --config a run whose model.* settings are those of the file")


def test_all_kinds_of_difference_are_told_at_once(altered, new_config):
    deeper = new_config({"model": SIZES | {"decoder_layers": 3, "dim": 64}})
    text = altered(lambda state: state.update(extra=torch.zeros(1)), config=deeper)
    kinds = [": 18 missing (", ", and 15 more); 1 unexpected (extra); ", " wrong shape ("]
    assert all(kind in text for kind in kinds) and "\n" not in text, text


def test_a_tensor_that_is_not_finite_is_named(altered):
    name = f"{PREDICTOR}.query_embed.weight"
    assert f"NaN or infinite, in {name}: " in altered(
        lambda state: state.update({name: torch.full((6, 32), torch.nan)})
    )


def test_a_model_of_an_older_version_is_refused_but_its_weights_can_be_exported(networks, config, tmp_path):
    WRITERS["old.pkl"](networks, tmp_path / "old.pkl")
    import_weights(tmp_path / "old.pkl", config, CLASSES, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="pt") as stream:
        facts = json.loads(stream.metadata()["simformer"])
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    older = {name: value for name, value in facts.items() if name not in ("dataset", "hidden")}
    save_file(tensors, tmp_path / "older.safetensors", {"simformer": json.dumps(older)})
    with pytest.raises(UserError, match=r"older version.*`simformer export_weights`"):
        load_model(tmp_path / "older.safetensors", CPU)
    export_weights(tmp_path / "older.safetensors", tmp_path / "older.pth")
    import_weights(tmp_path / "older.pth", config, CLASSES, tmp_path / "again.safetensors")
    again = read_model(tmp_path / "again.safetensors").tensors
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


def test_the_label_set_tells_what_the_model_has_not_seen(networks, new_config, scenes, masked, tmp_path):
    config, classes = new_config({"model": SIZES}), scenes.index.classes
    network = randomise(MaskFormer(len(classes), config.settings.model))
    maskformer_pkl([network], tmp_path / "a.pkl", newer=False)
    import_weights(tmp_path / "a.pkl", config, classes, tmp_path / "model.safetensors", masked)
    assert load_model(tmp_path / "model.safetensors", CPU).identity == masked.identity
    with pytest.raises(UserError, match="has other classes"):
        import_weights(tmp_path / "a.pkl", config, classes[::-1], tmp_path / "model.safetensors", masked)


@pytest.mark.parametrize("classes", [CLASSES[:4], (*CLASSES, "cat")])
def test_another_number_of_classes_is_explained(altered, classes):
    text = altered(lambda state: None, classes=classes)
    assert "class head has 6 outputs, 5 classes and 'no object'" in text
    assert f"the dataset has {len(classes)} classes; give --data" in text and "\n" not in text


def test_a_backbone_alone_is_explained(networks, config, tmp_path):
    state = {name: t for name, t in official_state(networks[0]).items() if name.startswith("backbone.")}
    torch.save(state, tmp_path / "R-18.pth")
    with pytest.raises(
        UserError, match=r"R-18\.pth: no MaskFormer .*`simformer weights`, or by  model\.weights: .*R-18"
    ):
        import_weights(tmp_path / "R-18.pth", config, CLASSES, tmp_path / "model.safetensors")


def test_a_backbone_that_the_official_code_lacks(networks, new_config, tmp_path, scenes, masked, run_training):
    WRITERS["old.pkl"](networks, tmp_path / "old.pkl")
    with pytest.raises(UserError, match=r"model\.backbone 'tiny' does not exist in the official code.*resnet50"):
        import_weights(tmp_path / "old.pkl", new_config(), CLASSES, tmp_path / "model.safetensors")
    outputs = run_training(new_config({"optim": {"steps": 1}}), masked, tmp_path / "run")
    with pytest.raises(UserError, match=r"model\.backbone 'tiny' does not exist in the official code"):
        export_weights(outputs.model, tmp_path / "exported.pth")
    assert not (tmp_path / "exported.pth").exists()


@pytest.mark.parametrize("name", ["old.pkl", "release.pth"])
def test_a_truncated_file_is_reported(networks, config, tmp_path, name):
    WRITERS[name](networks, tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:100_000])
    with pytest.raises(UserError, match=rf"cannot read .*{name} \(100000 bytes.*fetch it again"):
        import_weights(tmp_path / name, config, CLASSES, tmp_path / "model.safetensors")


def test_the_command_line_from_checkpoint_to_evaluation(new_config, scenes, tmp_path, capsys):
    """import_weights, evaluate and export_weights, and a mistake told in one line without a traceback."""
    config = new_config({"model": SIZES})
    classes = scenes.index.classes
    network = randomise(MaskFormer(len(classes), config.settings.model))
    maskformer_pkl([network], tmp_path / "official.pkl", newer=False)
    config.save(tmp_path / "config.yaml")
    scenes.index.save(tmp_path / "index.json")
    given = ["--config", str(tmp_path / "config.yaml"), "--data", str(scenes.data)]
    model = str(tmp_path / "model.safetensors")
    assert main(["import_weights", "--source", str(tmp_path / "official.pkl"), *given, "--output", model]) == 0
    options = ["--data", str(scenes.data), "--index", str(tmp_path / "index.json"), "--inference", '{"short_edge": 48}']
    evaluation = tmp_path / "evaluation.npz"
    assert main(["evaluate", "--model", model, *options, "--device", "cpu", "--output", str(evaluation)]) == 0
    assert evaluation.exists()
    assert main(["export_weights", "--model", model, "--output", str(tmp_path / "official.pth")]) == 0
    assert main(["import_weights", "--source", str(tmp_path / "absent.pkl"), *given, "--output", model]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: no file {tmp_path / 'absent.pkl'}"
