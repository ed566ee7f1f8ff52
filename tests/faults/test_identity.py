"""Files that do not belong together, were edited, damaged, or changed since the audit: one line, nothing written."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

import simformer
from simformer.cli import main
from tests.faults.harness import complaint, prepare_arguments, refused
from tests.faults.world import CAM, SIZES, command, edit_label, train_options
from tests.specifications import study_of

pytestmark = pytest.mark.usefixtures("specified")

DATASET = "belongs to another dataset"
SPLIT = "belongs to another split"
CLASSES = "has other classes"
RUN = "of another run than this study's"
AGAIN = "delete it and run snakemake again"


def labels(root, name):
    return root / name / "labels.json"


def evaluate(root, model="model1", data="data", **options):
    files = {"model": root / model / "model.safetensors", "data": root / data, "index": root / data / "index.json"}
    return command("evaluate", **files, inference=SIZES, device="cpu", output=root / "new.npz", **options)


def pseudo(root, model="model1", given="masked1", data="data"):
    files = {"model": root / model / "model.safetensors", "data": root / data, "labels": labels(root, given)}
    return command("pseudo_labels", **files, inference=SIZES, device="cpu", output=root / "new")


def simnet(root, model="model1", weak="masked1", true="true"):
    files = {"model": root / model / "model.safetensors", "data": root / "data"}
    given = {"weak": labels(root, weak), "true": labels(root, true)}
    return command("simnet_f1", **files, **given, device="cpu", pairs=1, output=root / "new.json")


def metrics(root, shards, split="split1"):
    files = [root / f"{shard}.npz" for shard in shards]
    return command("metrics", evaluation=files, split=root / f"{split}.yaml", output=root / "new.json")


def of_a_run(arguments):
    """Add the hash of another run than the model's."""
    return [*arguments, "--run-hash", "feed" * 4]


def train(root, config, given, data="data"):
    return command("train", **train_options(root, f"{config}.yaml", given, root / "new", data))


def mask(root, data="data", index="data", split="split1"):
    files = {"data": root / data, "index": root / index / "index.json", "split": root / f"{split}.yaml"}
    return command("mask_labels", **files, output=root / "new")


def join(root, given, shards):
    folders = [root / "pseudo1" / shard for shard in shards]
    return command("join_labels", labels=labels(root, given), shards=folders, output=root / "new")


def on_labels(root, name, given, **options):
    return command(name, labels=labels(root, given), output=root / "new", **options)


def on_maps(root, name, given, **options):
    return on_labels(root, name, given, maps=root / "cam/maps.json", **options)


def cam(root, given, **options):
    files = {"network": root / "classifier.safetensors", "data": root / "data"}
    return on_labels(root, "cam", given, **files, settings=CAM, device="cpu", **options)


def gather(root, given, shards):
    return on_labels(root, "gather_maps", given, shards=[root / f"cam/{shard}.json" for shard in shards])


def audit_page(root, index="data", report="data", split="split1"):
    files = {"data": root / index, "index": root / index / "index.json", "report": root / report / "audit.json"}
    return command("audit_page", **files, splits=root / f"{split}.yaml", output=root / "new.json")


def figure(root, model="model1", index="data", split="split1", **more):
    files = {"model": root / model / "model.safetensors", "data": root / index, "index": root / index / "index.json"}
    spec = {"labels": ["a"], "images": [], "count": 1, "title": "t", "hashes": [None], **more}
    shown = {"inference": SIZES, "study": study_of(spec, root), "figure": "x"}
    return command("qualitative", **files, split=root / f"{split}.yaml", **shown, device="cpu", output=root / "new.pdf")


def gallery(root, masked="masked1", true="true"):
    arms = [{"name": "a", "start": "a", "maps": str(root / "cam/maps.json"), "gamma": 0.1, "kind": None, "walk": None}]
    files = {"study": study_of(arms, root), "on": "d/split1", "data": root / "data", "truth": labels(root, true)}
    return on_labels(root, "map_gallery", masked, **files)


def intervals(root, methods, split="split1", **more):
    runs = [
        {"dataset": "d", "split": "s", "method": name, "seed": 0, "groups": str(root / f"{split}.yaml")}
        | more
        | {"evaluation": [str(root / f"{name}/{shard}.npz") for shard in ("1of2", "2of2")]}
        for name in methods
    ]
    rows = [{"method": name, "label": name, "ranked": True} for name in dict.fromkeys(methods)]
    spec = {"compare": [methods], "metrics": ["novel"], "runs": runs, "title": "t", "rows": rows}
    return command("intervals", study=study_of(spec, root), experiment="x", output=root / "new.csv")


MIXED = {
    "evaluate: index of another dataset": (lambda r: evaluate(r, data="other"), DATASET),
    "evaluate: index of other classes": (lambda r: evaluate(r, data="renamed"), CLASSES, "'barn'", "'house'"),
    "evaluate: data of another dataset": (
        lambda r: [*evaluate(r)[:4], str(r / "nothing"), *evaluate(r)[5:]], "nothing/images/test0.png", "not there",
    ),
    "metrics: another split": (lambda r: metrics(r, ["model1/1of2", "model1/2of2"], "split2"), SPLIT, "'cow'", "'sky'"),
    "metrics: a dataset with as many classes": (
        lambda r: metrics(r, ["model1/1of2", "model1/2of2"], "renamed"), CLASSES, "'barn'", "renamed.yaml",
    ),
    "metrics: one shard of two": (lambda r: metrics(r, ["model1/1of2"]), "2of2 not given"),
    "metrics: a shard twice": (lambda r: metrics(r, ["model1/1of2", "model1/1of2"]), "both part 1of2"),
    "metrics: shards of two models": (lambda r: metrics(r, ["model1/1of2", "model2/2of2"]), "comes from another model"),
    "pseudo_labels: a teacher of another split": (lambda r: pseudo(r, "model2"), SPLIT, "'sky'", "'cow', 'sheep'"),
    "pseudo_labels: a teacher that saw all masks": (lambda r: pseudo(r, "oracle"), SPLIT, "no class"),
    "pseudo_labels: labels of another dataset": (lambda r: pseudo(r, given="other1", data="other"), DATASET),
    "pseudo_labels: labels with all masks": (lambda r: pseudo(r, given="true"), "kind 'full'", "'weak'"),
    "pseudo_labels: images of another dataset": (lambda r: pseudo(r, data="other"), "train1.png", "since the audit"),
    "evaluate: a model of another run": (lambda r: of_a_run(evaluate(r)), "model1/model.safetensors", RUN),
    "metrics: an evaluation of another run": (
        lambda r: of_a_run(metrics(r, ["model1/1of2", "model1/2of2"])), "model1/1of2.npz", RUN,
    ),
    "pseudo_labels: a teacher of another run": (lambda r: of_a_run(pseudo(r)), RUN),
    "simnet_f1: a model of another run": (lambda r: of_a_run(simnet(r)), RUN),
    "figure: a model of another run": (lambda r: figure(r, hashes=["feed" * 4]), RUN),
    "intervals: an evaluation of another run": (
        lambda r: intervals(r, ["model1", "oracle"], hash="feed" * 4), "model1/1of2.npz", RUN,
    ),
    "train: labels of another split": (
        lambda r: train(r, "model1", "masked2"), "masked2/labels.json", "another split than split1", "'sky'",
    ),
    "train: labels of another draw": (
        lambda r: train(r, "drawn", "masked1"), "masked1/labels.json", "another split than split1", "'cow', 'sheep'",
    ),
    "simnet_f1: a model of another split": (lambda r: simnet(r, "model2"), SPLIT),
    "simnet_f1: true labels of another dataset": (lambda r: simnet(r, true="other_true"), DATASET),
    "simnet_f1: no true labels": (lambda r: simnet(r, true="masked1"), "kind 'weak'", "'full'"),
    "train: weak from labels with all masks": (lambda r: train(r, "model1", "true"), "trains on 'weak'", "'full'"),
    "train: weak from labels of crops": (lambda r: train(r, "model1", "crop1"), "trains on 'weak'", "'crop' labels"),
    "train: weak from filled labels": (lambda r: train(r, "model1", "fill1"), "trains on 'weak'", "'fill' labels"),
    "train: weak from image-level labels": (lambda r: train(r, "model1", "image"), "trains on 'weak'", "'images'"),
    "train: full from weak labels": (lambda r: train(r, "oracle", "masked1"), "trains on 'full'", "'weak' labels"),
    "mask_labels: a split of other classes": (lambda r: mask(r, split="renamed"), CLASSES, "renamed.yaml"),
    "crop_labels: labels without all masks": (
        lambda r: on_labels(r, "crop_labels", "masked1", split=r / "split1.yaml"), "kind 'weak'", "'full'",
    ),
    "crop_labels: a split of other classes": (
        lambda r: on_labels(r, "crop_labels", "true", split=r / "renamed.yaml"), CLASSES,
    ),
    "fill_labels: labels with all masks": (lambda r: on_labels(r, "fill_labels", "true"), "kind 'full'", "'weak'"),
    "join_labels: a part is missing": (lambda r: join(r, "masked1", ["1of2"]), "2of2 not given"),
    "join_labels: a part twice": (lambda r: join(r, "masked1", ["1of2", "1of2"]), "both part 1of2"),
    "join_labels: labels of another split": (lambda r: join(r, "masked2", ["1of2", "2of2"]), SPLIT),
    "join_labels: labels of another dataset": (lambda r: join(r, "other1", ["1of2", "2of2"]), DATASET),
    "train: a part of a label set": (
        lambda r: train(r, "model1", "pseudo1/1of2"), "only part 1of2 of a label set", "join_labels",
    ),
    "cam: labels of a split": (lambda r: cam(r, "masked1"), SPLIT),
    "cam: labels of other classes": (lambda r: cam(r, "renamed1"), CLASSES),
    "cam: labels of another dataset": (lambda r: cam(r, "other1"), DATASET),
    "gather_maps: a shard twice": (lambda r: gather(r, "image", ["1of2", "1of2"]), "is in another shard too"),
    "gather_maps: a shard is missing": (lambda r: gather(r, "image", ["1of2"]), "no maps of 4 images"),
    "gather_maps: labels of another dataset": (lambda r: gather(r, "other1", ["1of2", "2of2"]), DATASET),
    "mix: maps of another dataset": (lambda r: on_maps(r, "mix", "other1", gamma=0.1), DATASET),
    "mix: labels with all masks": (lambda r: on_maps(r, "mix", "true", gamma=0.1), "kind 'full'"),
    "seeds: labels of another dataset": (
        lambda r: on_maps(r, "seeds", "other1", data=r / "other", settings="{}"), DATASET,
    ),
    "map_gallery: truth of another dataset": (lambda r: gallery(r, true="other_true"), DATASET),
    "map_gallery: no truth": (lambda r: gallery(r, true="masked2"), "expected the label set with all masks"),
    "map_gallery: maps of another dataset": (lambda r: gallery(r, "other1", "other_true"), DATASET),
    "audit_page: report of another audit": (lambda r: audit_page(r, report="renamed"), "not come from one audit"),
    "audit_page: split of other classes": (lambda r: audit_page(r, split="renamed"), CLASSES),
    "figure: a model of another split": (lambda r: figure(r, "model2"), SPLIT),
    "figure: a split of other classes": (lambda r: figure(r, split="renamed"), CLASSES),
    "figure: an index of another dataset": (lambda r: figure(r, index="other"), DATASET),
    "intervals: a model of another split": (lambda r: intervals(r, ["model1", "model2"]), SPLIT),
    "intervals: another split": (lambda r: intervals(r, ["oracle", "model1"], "split2"), SPLIT),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_files_that_do_not_belong_together(world, capsys, name):
    arguments, *says = MIXED[name]
    if not name.startswith("train"):
        refused(arguments(world), world, capsys, *says)
    else:  # which locks its folder before it looks
        line = complaint(arguments(world), capsys)
        assert all(words in line for words in says) and not (world / "new/model.safetensors").exists()


def changed_arrays(path, **changes):
    """Write an evaluation with other arrays; None leaves one out."""
    with np.load(path) as content:
        arrays = dict(content) | changes
    np.savez_compressed(path, **{name: value for name, value in arrays.items() if value is not None})


def arrays_of(path):
    with np.load(path) as content:
        return dict(content)


CHANGED = {
    "mask_labels: a label": ("data/labels/train0.png", lambda r: mask(r), "since the audit"),
    "evaluate: an image": ("data/images/test1.png", lambda r: evaluate(r), "since the audit"),
    "evaluate: a true label": ("data/labels/test1.png", lambda r: evaluate(r), "since the audit"),
    "train: an image": ("data/images/train2.png", lambda r: train(r, "model1", "masked1"), "since the audit"),
    "train: a masked label": ("masked1/labels/train2.png", lambda r: train(r, "model1", "masked1"), "label set"),
    "pseudo_labels: an image": ("data/images/train2.png", lambda r: pseudo(r), "since the audit"),
    "pseudo_labels: a masked label": ("masked1/labels/train2.png", lambda r: pseudo(r), "label set"),
    "simnet_f1: a true label": ("true/labels/train2.png", lambda r: [*simnet(r), "--pairs", "20"], "label set"),
    "fill_labels: a masked label": (
        "masked1/labels/train2.png", lambda r: on_labels(r, "fill_labels", "masked1"), "label set",
    ),
    "mix: a masked label": ("masked1/labels/train2.png", lambda r: on_maps(r, "mix", "masked1", gamma=0.1), "set"),
    "seeds: an image": (
        "data/images/train2.png", lambda r: on_maps(r, "seeds", "image", data=r / "data", settings="{}"), "the audit",
    ),
    "mix: class maps": ("cam/maps/train2.npz", lambda r: on_maps(r, "mix", "masked1", gamma=0.1), "maps.json"),
    "site_images: a true label": (
        "data/labels/test0.png",
        lambda r: command("site_images", data=r / "data", index=r / "data/index.json", output=r / "new/images.js"),
        "since the audit",
    ),
    "audit_page: an image": ("data/images/train2.png", lambda r: audit_page(r), "since the audit"),
    "figure: a true label": ("data/labels/test0.png", lambda r: figure(r), "since the audit"),
    "map_gallery: a true label": ("true/labels/train0.png", lambda r: gallery(r), "label set"),
}  # fmt: skip


def change(path, how):
    """Change a file's content in place, as an editor does: another file of its kind, or a missing one."""
    if how == "missing":
        path.unlink()
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:60])
    elif path.suffix == ".npz":
        changed_arrays(path, scores=arrays_of(path)["scores"] * 0.5)
    else:
        before = path.stat()
        if "labels" in path.parts:
            edit_label(path)
        else:
            path.write_bytes(path.with_name("test3.png").read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # a clock that was set back hides nothing


@pytest.mark.parametrize("how", ["other pixels", "cut off", "missing"])
@pytest.mark.parametrize("name", CHANGED)
def test_data_changed_since_the_audit(world, capsys, name, how):
    file, arguments, says = CHANGED[name]
    change(world / file, how)
    words = says if how != "missing" or file.endswith("npz") else "not there any more"
    if name.startswith(("site_images", "mask_labels", "fill_labels", "mix", "seeds", "train", "pseudo")):
        # Files of the images before it may be there, but nothing that names them.
        line = complaint(arguments(world), capsys)
        assert file in line and words in line and not list(world.glob("new/*.js*"))
    else:
        refused(arguments(world), world, capsys, file, words)


UNCHECKED = {
    "images.py", "checked.py", "truth.py", "inspection.py", "convert.py", "class_tables.py",
    "names.py", "id_pictures.py",  # `simformer import`, before the audit
    "segmenter.py", "folder.py",  # photographs of `simformer predict`, which are of no dataset
    "evaluate.py",  # predictions of `simformer score`
}  # fmt: skip
"""Modules up to the audit, which decode pictures that nothing is known of yet, those that decode and compare, and those
that read files of no dataset."""


def test_every_later_stage_reads_pictures_through_the_check():
    package = Path(simformer.__file__).parent
    users = {p.name for p in package.rglob("*.py") if re.search(r"\b(read|decode)_(image|label)\b", p.read_text())}
    assert users == UNCHECKED


def test_an_edit_of_the_users_own_file_is_noticed_through_a_hard_link(source, tmp_path, capsys, new_config):
    """A4: prepared data are hard links, so an edit in place of the source changes them too."""
    data = tmp_path / "data"
    assert main(prepare_arguments(source, data)) == 0
    assert os.path.samefile(source / "labels/train0.png", data / "labels/train0.png")
    index, report = data / "index.json", data / "audit.json"
    assert main(command("audit", data=data, index=index, report=report)) == 0
    assert main(command("split", data=data, spec='{"novel": ["cow"]}', output=tmp_path / "split1.yaml")) == 0
    edit_label(source / "labels/train0.png")
    line = refused(mask(tmp_path), tmp_path, capsys, "data/labels/train0.png", "changed since the audit")
    assert "delete index.json of this dataset and run snakemake again" in line
    assert main(command("audit", data=data, index=index, report=report)) == 0
    assert main(mask(tmp_path)) == 0
