"""What doctor and plan find before any job does: splits that do not fit, and folders that cannot be written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from simformer.cli import main
from simformer.data.index import DatasetIndex
from simformer.doctor.caches import check_caches
from simformer.doctor.examine import examine
from simformer.study.catalogue import Catalogue
from simformer.study.problems import split_problems
from tests.faults.harness import refused
from tests.stubs import by_name, touch

STUDY = "config/mine.yaml"
SPLITS = {
    "{novel: [cwo]}": ["unknown class 'cwo' in novel; did you mean 'cow'?"],
    "{novel: [Cow]}": ["unknown class 'Cow'"],
    "{novel: [sky, grass, cow, sheep, barn]}": ["every class is novel"],
    "{novel: [cow], base: [sky]}": ["neither base nor novel: grass, sheep, barn"],
    "{novel: [cow], base: [sky, grass, sheep, bran]}": ["unknown class 'bran' in base"],
    "{seed: 1, ratio: [100, 1]}": ["ratio 100:1 of 5 classes leaves one side empty"],
    "{seed: 1, ratio: [1, 100]}": ["ratio 1:100 of 5 classes leaves one side empty"],
    "{file: other.yaml}": ["other.yaml: these ids and names do not belong together in this dataset: 3: sea"],
    "{file: none.yaml}": ["none.yaml: no such file"],
    "{file: list.yaml}": ["list.yaml: expected 'novel:' with 'id: name' lines"],
    "{file: empty.yaml}": ["empty.yaml: expected 'key: value' lines, found nothing"],
}


@pytest.fixture
def folder(data, tmp_path, monkeypatch) -> Path:
    """A study of a prepared dataset of five classes, in the working directory."""
    files = {
        "config/datasets/mydata.yaml": "title: Mine\nsource: {kind: folder, path: /x}\n"
        "settings: {model: {weights: none}}\n",
        "config/experiments/mine.yaml": "title: Mine\nmethods: [one]\n",
        "config/methods/one.yaml": "label: One\n",
        "other.yaml": "novel: {3: sea}\n",
        "list.yaml": "novel: [cow]\n",
        "empty.yaml": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_study(folder: Path, *splits: str) -> None:
    lines = "".join(f"      {number}: {split}\n" for number, split in enumerate(splits, 1))
    (folder / STUDY).write_text(f"experiments: [mine]\ndatasets:\n  mydata:\n    splits:\n{lines}")


def plan_status() -> int:
    """Return the exit status of `simformer plan`."""
    try:
        return main(["plan", "--study", STUDY])
    except SystemExit as end:
        return int(end.code)


@pytest.mark.parametrize(("split", "says"), SPLITS.items())
def test_a_split_that_does_not_fit_is_found_by_the_plan(folder, capsys, split, says):
    write_study(folder, "{novel: [cow]}", split)
    refused(["plan", "--study", STUDY], folder, capsys, f"{STUDY}: datasets.mydata.splits.2: ", *says)
    refused(["status", "--study", STUDY], folder, capsys, *says)


TWICE = {
    "named in another order": ("{novel: [cow, sky]}", "{novel: [sky, cow]}"),
    "named and pinned": ("{novel: [cow]}", "{file: cow.yaml}"),
    "named and given by its base": ("{novel: [cow]}", "{novel: [cow], base: [sky, grass, sheep, barn]}"),
    "drawn twice": ("{seed: 3, ratio: [3, 1]}", "{seed: 3, ratio: [3, 1]}"),
    "drawn by equal shares": ("{seed: 3, ratio: [3, 1]}", "{seed: 3, ratio: [6, 2]}"),
}


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("prepared", [True, False])
def test_two_equal_splits_are_found_by_the_plan(folder, capsys, name, prepared):
    (folder / "cow.yaml").write_text("novel: {2: cow}\n")
    write_study(folder, "{novel: [grass]}", *TWICE[name])
    if not prepared:
        if name == "drawn by equal shares":
            pytest.skip("only the classes tell that both are one")
        (folder / "data/mydata/classes.json").unlink()
    line = refused(["plan", "--study", STUDY], folder, capsys, f"{STUDY}: datasets.mydata.splits.3: ", "of split 2")
    assert "would count twice" in line and "anew" not in line


def test_equal_splits_of_different_tables_are_none(folder):
    write_study(folder, "{novel: [grass]}", "{novel: [cow], only: [spine]}", "{novel: [cow], only: [table2]}")
    assert not split_problems(Catalogue.read(Path(STUDY)))


def test_a_novel_class_that_no_training_image_shows_is_found_by_the_plan(folder, capsys):
    data, index = folder / "data/mydata", folder / "data/mydata/index.json"
    content = DatasetIndex.load(index)
    blind = [replace(record, labels=tuple(i for i in record.labels if i != 2)) for record in content.train]
    replace(content, train=tuple(blind)).save(index)
    write_study(folder, "{novel: [sky]}", "{novel: [cow]}")
    says = ["splits.2: no training image shows the novel class 'cow' (id 2)", f"remove {data.relative_to(folder)}"]
    refused(["plan", "--study", STUDY], folder, capsys, *says)
    check = next(check for check in examine(Path(STUDY)) if check.name == "mydata split2")
    assert check.level == "problem" and "no training image shows the novel class 'cow'" in check.found
    index.write_text("{}")  # Snakemake makes it again
    assert plan_status() == 0


WEIGHTS = {
    "None": "'None' would be the path of a file; write none",
    "null": "datasets/mydata.yaml: key 'settings.model.weights'",
    "'~'": "write none (for a file of that name ./~)",
    "NONE": "write none",
    "ImageNet": "write imagenet",
}


@pytest.mark.parametrize(("text", "says"), WEIGHTS.items())
def test_a_word_for_no_weights_that_is_none(folder, capsys, text, says):
    file = folder / "config/datasets/mydata.yaml"
    file.write_text(file.read_text().replace("weights: none", f"weights: {text}"))
    write_study(folder, "{novel: [cow]}")
    refused(["plan", "--study", STUDY], folder, capsys, "settings.model.weights", says)


def test_weights_that_are_not_there_are_told_by_the_plan(folder, capsys, monkeypatch):
    def told(weights: str) -> list[str]:
        file.write_text(text.replace("weights: none", f"weights: {weights}"))
        status = plan_status()
        found = [line for line in capsys.readouterr().out.splitlines() if "problem" in line]
        assert status == bool(found)
        return found

    file = folder / "config/datasets/mydata.yaml"
    text = file.read_text()
    write_study(folder, "{novel: [cow]}")
    monkeypatch.delenv("WEIGHTS", raising=False)
    assert told("none") == told("imagenet") == told("other.yaml") == []
    name = "config/datasets/mydata.yaml: settings.model.weights"
    key, place = f"  problem: {name}", f"or write its true place in {name}"
    assert told("gone.pth") == [f"{key}: not there: gone.pth; put it there, {place}"]
    assert told("$WEIGHTS")[0].startswith(f"{key} needs environment variable WEIGHTS, which is not set; type WEIGHTS=")
    monkeypatch.setenv("WEIGHTS", "/gone")
    assert told("$WEIGHTS") == [
        f"{key}: not there: /gone; set the variable in $WEIGHTS, so that it leads to it, {place}"
    ]
    touch(folder / "data/weights/mydata.resnet50.safetensors")
    assert told("gone.pth") == []


def test_the_line_says_how_to_go_on_with_other_classes(folder, capsys):
    write_study(folder, "{novel: [cattle]}")
    says = ["(by data/mydata/classes.json; if its source has changed, remove data/mydata to prepare it again)"]
    refused(["plan", "--study", STUDY], folder, capsys, *says)


@pytest.mark.parametrize(
    "split", ["{novel: [cows]}", "{seed: 1, ratio: [100, 1]}", "{novel: [sky, sky ]}", "{file: config/mine.yaml}"]
)
def test_a_mistake_in_the_split_asks_nobody_to_remove_the_dataset(folder, capsys, split):
    write_study(folder, split)
    assert "remove" not in refused(["plan", "--study", STUDY], folder, capsys)


def test_one_class_cannot_be_split(folder, capsys):
    (folder / "data/mydata/classes.json").write_text('{"names": ["cow"]}')
    write_study(folder, "{seed: 1, ratio: [1, 1]}")
    line = refused(["plan", "--study", STUDY], folder, capsys, f"{STUDY}: datasets.mydata.splits.1: the dataset has 1 ")
    assert "1 class;" in line and "no `ratio` works" in line


def test_without_the_dataset_there_is_nothing_to_compare_with(folder, capsys):
    write_study(folder, "{novel: [cattle]}")
    (folder / "data/mydata/classes.json").unlink()
    assert main(["plan", "--study", STUDY]) == 0
    assert "results/mydata/split1/one/seed0" in capsys.readouterr().out


def test_every_bad_split_is_a_problem_of_its_own_in_doctor(folder, capsys):
    write_study(folder, *SPLITS)
    with pytest.raises(SystemExit) as end:
        main(["doctor", "--json", "--study", STUDY])
    assert end.value.code == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    for number, says in enumerate(SPLITS.values(), 1):
        found = checks[f"mydata split{number}"]
        assert found["level"] == "problem" and all(words in found["found"] for words in says)
        assert found["fix"] == f"correct the split in {STUDY}"
    assert "cores" in checks, "the machine is checked all the same"


@pytest.fixture
def blocked(tmp_path, monkeypatch) -> Path:
    """A path below which nothing can be made, whoever asks: it is a file."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "file"
    file.touch()
    return file


def test_a_home_that_cannot_be_written(blocked, monkeypatch):
    monkeypatch.setenv("HOME", str(blocked))
    found = by_name(check_caches())
    assert found["snakemake cache"].level == "problem"
    assert "Snakemake would end with a traceback" in found["snakemake cache"].found
    assert "export XDG_CACHE_HOME=" in found["snakemake cache"].fix
    assert found["matplotlib cache"].level == "warning" and "MPLCONFIGDIR" in found["matplotlib cache"].fix
    assert found["temporary files"].level == "ok"


@pytest.mark.parametrize(
    ("name", "check", "level"),
    [
        ("XDG_CACHE_HOME", "snakemake cache", "problem"),
        ("MPLCONFIGDIR", "matplotlib cache", "warning"),
        ("TMPDIR", "temporary files", "problem"),
    ],
)
def test_a_folder_of_the_environment_that_cannot_be_written(blocked, tmp_path, monkeypatch, name, check, level):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert by_name(check_caches())[check].level == "ok"
    monkeypatch.setenv(name, str(blocked / "below"))
    assert by_name(check_caches())[check].level == level
    monkeypatch.setenv(name, str(tmp_path))
    assert by_name(check_caches())[check].level == "ok"


def test_a_cache_that_is_not_there_yet_is_no_problem(blocked, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "new"))
    assert all(check.level == "ok" for check in check_caches())
    assert not (tmp_path / "new").exists()


def test_a_temporary_folder_that_is_not_there(blocked, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    assert by_name(check_caches())["temporary files"].level == "problem"


@pytest.mark.parametrize("by_study", [True, False])
def test_a_source_that_is_not_there_is_told_with_its_file_and_key(folder, capsys, by_study):
    write_study(folder, "{novel: [cow]}")
    assert main(["plan", "--study", STUDY]) == 0
    assert "problem" not in capsys.readouterr().out  # prepared
    (folder / "data/mydata/index.json").unlink()
    key, path = "config/datasets/mydata.yaml: source.path", "/x"
    if by_study:
        key, path = f"{STUDY}: datasets.mydata.source.path", "/gone"
        text = (folder / STUDY).read_text().replace("    splits:", "    source: {path: /gone}\n    splits:")
        (folder / STUDY).write_text(text)
    fix = f"put it there, or write its true place in {key}"
    assert plan_status() == 1
    assert f"  problem: {key}: not there: {path}; {fix}\n" in capsys.readouterr().out
    check = next(check for check in examine(Path(STUDY)) if check.name == "data mydata")
    assert (check.level, check.found, check.fix) == ("problem", f"{key}: not there: {path}", fix)


def test_doctor_tells_what_has_changed_and_a_state_that_is_refused(folder):
    write_study(folder, "{novel: [cow]}")
    run = Path("results/mydata/split1/one/seed0")
    touch(folder / run / "state/state.pt")
    touch(folder / run / "state/state.json", json.dumps({"hash": "0" * 16, "novel": "0" * 8}))
    checks = by_name(examine(Path(STUDY)))
    assert checks["study"].found.endswith(
        "1 still to be done, 1 of them since settings, novel classes or data have changed"
    )
    assert checks["saved state"].level == "problem" and f"{run}/state: of other settings" in checks["saved state"].found
    assert checks["saved state"].fix.startswith("delete that folder")
