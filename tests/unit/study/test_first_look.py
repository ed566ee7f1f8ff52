"""The study that `simformer import` writes: it resolves, and replaces no file."""

import shutil

import pytest

from simformer.cli import main
from simformer.errors import UserError
from simformer.study.catalogue import Catalogue
from simformer.study.first_look import dataset_name, places, write_first_look
from tests.foreign import halves, photographs, png, refused, text
from tests.pipeline import ROOT


@pytest.fixture
def config(tmp_path):
    return shutil.copytree(ROOT / "config", tmp_path / "config")


def test_the_study_resolves(config):
    study = config / "mine.yaml"
    told = write_first_look(study, config.parent / "data", {"novel": ["cow, sheep", "on"]}, True)
    catalogue = Catalogue.read(study)
    assert f"--configfile {study} " in told
    assert catalogue.study.datasets["mine"].splits[1].novel == ("cow, sheep", "on")
    for method in catalogue.experiment("first_look").methods:
        settings = catalogue.run("mine", "split1", method, 0).settings
        assert settings.optim.steps == 300 and settings.model.backbone == "mobilenet_v2"
    assert catalogue.experiment("tags") and catalogue.experiment("table1"), "what its comment names"


DRAWN = {"seed": 0, "ratio": [3, 1]}


def test_without_classes_that_have_tags_alone_the_split_is_drawn(config):
    write_first_look(config / "mine.yaml", config.parent, DRAWN, False)
    assert Catalogue.read(config / "mine.yaml").study.datasets["mine"].splits[1].seed == 0


@pytest.mark.parametrize("taken", ["mine.yaml", "datasets/mine.yaml"])
def test_a_file_that_is_there_stays_and_nothing_is_imported(tmp_path, capsys, config, taken):
    text(config / taken, "title: precious\n")
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    for name in "ab":
        png(tmp_path / f"maps/{name}.png", halves(0, 1))
    names = text(tmp_path / "names.txt", "sky\nsea\n")
    masks = ["--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps", "--names", names]
    line = refused(tmp_path, capsys, *masks, "--study", config / "mine.yaml")
    assert f"{config / taken} exists already and was not changed; name another study" in line
    assert (config / taken).read_text() == "title: precious\n"
    assert not {"mine.yaml", "datasets/mine.yaml"} - {taken} & {str(p.relative_to(config)) for p in config.rglob("*.*")}


def masks(tmp_path, names, **maps):
    photographs(tmp_path / "photos", *(f"{name}.jpg" for name in maps))
    for name, label in maps.items():
        png(tmp_path / f"maps/{name}.png", label)
    given = ["--masks", "ids", tmp_path / "maps", "--names", text(tmp_path / "names.txt", names)]
    return [str(o) for o in ["--images", tmp_path / "photos", *given, "--output", tmp_path / "out"]]


@pytest.mark.parametrize("names", ["sky\nsea\n", "sky\nsea\nox\nyak\nemu\ngnu\n"])
def test_where_no_split_can_be_drawn_the_last_of_the_classes_with_masks_are_novel(tmp_path, config, names):
    """Of two classes a quarter is none; of six classes one without pixels may be drawn."""
    given = masks(tmp_path, names, a=halves(0, 1), b=halves(0, 1))
    study = config / "mine.yaml"
    assert main(["import", *given, "--study", str(study)]) == 0
    assert Catalogue.read(study).study.datasets["mine"].splits[1].novel == ("sea",)


ONE = "masks of training images show one class alone, 'sea', and a study needs a base and a novel class; draw a second"


def test_a_study_whose_split_would_be_refused_is_not_written(tmp_path, capsys, config):
    given = masks(tmp_path, "sky\nsea\n", a=halves(1, 1), b=halves(1, 1))
    study = config / "mine.yaml"
    assert main(["import", *given, "--study", str(study)]) == 1
    told = capsys.readouterr().err
    assert f"error: --study {study}: not written. {tmp_path / 'out'} is complete, but" in told
    assert ONE in told and not study.exists() and not (config / "datasets/mine.yaml").exists()
    assert (tmp_path / "out/classes.json").exists()


def test_a_study_whose_split_would_be_refused_is_not_printed(tmp_path, capsys):
    assert main(["import", *masks(tmp_path, "sky\nsea\n", a=halves(1, 1), b=halves(1, 1))]) == 0
    told = capsys.readouterr().out
    assert ONE in told and "datasets:" not in told


def test_a_study_without_anything_to_score_is_not_printed(tmp_path, capsys):
    """The audit would refuse its test images."""
    given = masks(tmp_path, "sky\nsea\n", a=halves(0, 1), b=halves(255, 255))
    assert main(["import", *given, "--test", str(text(tmp_path / "test.txt", "b\n"))]) == 0
    told = capsys.readouterr().out
    assert "no mask of a test image shows any of these classes, so nothing could be scored" in told
    assert "datasets:" not in told


def test_no_training_image_shows_a_class_that_has_tags(tmp_path, capsys):
    given = masks(tmp_path, "sky\nsea\n", a=halves(0, 1), b=halves(0, 1))
    tags = text(tmp_path / "tags.csv", "image,cow\na,0\nb,0\n")
    assert main(["import", *given, "--tags", "csv", str(tags)]) == 0
    told = capsys.readouterr().out
    assert "no training image shows the novel class 'cow'" in told and "out of the import with --classes" in told


def test_a_study_of_tags_alone_is_refused_before_the_work(tmp_path, capsys, config):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    tags = text(tmp_path / "tags.csv", "image,cow\na,1\nb,0\n")
    given = ["--images", tmp_path / "photos", "--tags", "csv", tags]
    study = config / "mine.yaml"
    line = refused(tmp_path, capsys, *given, "--study", study)
    assert f"--study {study}: a study needs masks of at least one class; add --masks FORMAT PATH" in line
    assert main(["import", *map(str, given), "--output", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "test images: 20% of the images, none of which has a mask, drawn by" in told
    assert "impossible: no training image has a mask" in told and "datasets:" not in told


def test_commands_are_printed_as_a_shell_reads_them(config):
    told = write_first_look(config / "my farm.yaml", config.parent / "out", DRAWN, False)
    for command in ("simformer plan --study", "snakemake --configfile"):
        assert f"    {command} '{config / 'my farm.yaml'}'" in told


STUDY = ["--study", "config/farm.yaml"]


@pytest.mark.parametrize(
    ("output", "study"),
    [("data/farm", STUDY), ("data", STUDY), ("data/farm/x", STUDY), ("../here/data/farm/", STUDY), ("data/farm", [])],
)
def test_the_import_does_not_go_where_the_study_prepares_it(tmp_path, capsys, monkeypatch, config, output, study):
    (tmp_path / "here").mkdir()
    config.rename(tmp_path / "here/config")
    monkeypatch.chdir(tmp_path / "here")
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    tags = text(tmp_path / "tags.csv", "image,cow\na,1\nb,0\n")
    given = ["--images", tmp_path / "photos", "--tags", "csv", tags, *study, "--output", output]
    assert main(["import", *map(str, given)]) == 1
    assert f"error: --output {output.rstrip('/')}: a study prepares its dataset 'farm' in " in capsys.readouterr().err
    assert not (tmp_path / "here/data").exists()


def test_a_study_needs_a_configuration(tmp_path, monkeypatch, config):
    with pytest.raises(UserError, match="it does not end with .yaml; start in the folder of this repository"):
        places(config / "mine", tmp_path / "out")
    monkeypatch.setattr("simformer.study.first_look.config_folder", lambda _: tmp_path / "nothing")
    with pytest.raises(UserError, match="there is no folder"):
        places(tmp_path / "mine.yaml", tmp_path / "out")


@pytest.mark.parametrize(
    ("given", "name"), [("Farm 2", "farm_2"), ("2021", "data_2021"), ("logs", "data_logs"), ("äöü", "mydata")]
)
def test_names_of_datasets(given, name):
    assert dataset_name(given) == name
