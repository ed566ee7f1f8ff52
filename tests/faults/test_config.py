"""Studies and the files that they name: whatever could mean something else than it says, or cannot work, is refused."""

import shutil
from pathlib import Path

import pytest

from tests.faults.harness import refused

ROOT = Path(__file__).resolve().parents[2]
STUDY = """results: results
data: data
seeds: [0]
experiments: [mine]
figures: [mine]
datasets:
  scenes:
    splits:
      1: {novel: [sea, brick, star, heart]}
    settings: {optim: {steps: 5}}
"""
TABLE = "title: Mine\nmethods: [one, two]\ncompare: [[one, two]]\n"
FILES = {
    "config/mine.yaml": STUDY,
    "config/experiments/mine.yaml": TABLE,
    "config/figures/mine.yaml": "title: Mine\nkind: qualitative\nmethods: [one, two]\n",
    "config/methods/one.yaml": "label: One\n",
    "config/methods/two.yaml": "label: Two\ninherits: one\nsettings: {loss: {alpha: 0.2}}\n",
}
STUDY_FILE, TABLE_FILE, METHOD_FILE, DATASET_FILE, FIGURE_FILE = (
    "config/mine.yaml", "config/experiments/mine.yaml", "config/methods/two.yaml", "config/datasets/scenes.yaml",
    "config/figures/mine.yaml",
)  # fmt: skip
SPLIT, SETTINGS = "1: {novel: [sea, brick, star, heart]}", "settings: {optim: {steps: 5}}"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A study of two methods on the demo's scenes, in the working directory."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "config/datasets").mkdir()
    shutil.copy(ROOT / DATASET_FILE, tmp_path / "config/datasets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Replace a piece of one of the study's files."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def test_the_study_works_as_it_is(folder, capsys):
    with pytest.raises(AssertionError, match="exit status 0"):
        refused(["plan", "--study", STUDY_FILE], folder, capsys)


MEANS = {
    "seeds: [0]": [
        ("seeds: [010]", "line 3: '010' is octal to some readers of YAML; write 10"),
        ("seeds: [0x8]", "line 3: '0x8' is a number to some readers"),
        ("seeds: [0b1]", "'0b1'"),
        ("seeds: [0o7]", "'0o7'"),
        ("seeds: [1_0]", "'1_0'"),
        ("seeds: [1:30]", "'1:30'"),
        ("seeds: [08]", "'08'"),
        ("seeds: [yes]", "'yes' means true to some readers of YAML; write true"),
        ("seeds: [Off]", "'Off' means false"),
        ("seeds: [2024-01-01]", "is a date to some readers of YAML; write it in quotes"),
        ("seeds: ~", "'~' means null"),
        ("seeds: !!python/tuple [0]", "the tag", "is not read here; remove it"),
        ("seeds: !!int '1'", "the tag"),
        ("seeds: &a [*a]", "alias is inside the value that it repeats"),
        ("seeds: [" + "[" * 60 + "]" * 60 + "]", "more than 50 levels"),
        ("seeds: [" + "9" * 5000 + "]", "a number of 5000 digits"),
        ("seeds: [0]\nseeds: [1]", "key 'seeds' is given twice"),
        ("seeds: [0]\n---\nx: 1", "not valid YAML"),
        ("seeds: [0]\n\tx: 1", "line 4", "not valid YAML"),
        ("seeds: [0, 1", "not valid YAML"),
        ('seeds: ["\\ud800"]', "surrogate"),
        ("seeds: [99999999999999999999]", "key 'seeds.0': input should be less than 2147483648"),
        ("seeds: [-1]", "key 'seeds.0': input should be greater than or equal to 0, found -1"),
        ("seeds: [1.0]", "key 'seeds.0': should be a whole number, found 1.0"),
        ("seeds: [1e3]", "should be a whole number, found 1000.0"),
        ("seeds: [true]", "should be a whole number, found True"),
        ('seeds: ["1"]', "should be a whole number, found '1'"),
        ("seeds: []", "key 'seeds'"),
        ("seeds: 1", "key 'seeds': should be a list, e.g. [1], found 1"),
        ("seeds:", "key 'seeds': should be a list, found null"),
        ("seeds: {0: 1}", "key 'seeds': should be a list"),
        ("seeds: [1, 1]", "seeds has duplicates: 1, 1; name each once"),
        ("seed: [0]", "unknown key 'seed'; did you mean 'seeds'?"),
        ("1: [0]", "unknown key '1'"),
        ("true: [0]", "'true' cannot be a key"),
        ("[a]: [0]", "a list or mapping cannot be a key"),
        ("__use_yte__: true", "unknown key '__use_yte__'"),
    ],
    SPLIT: [
        (SPLIT.replace("1:", "010:"), "line 9: '010' is octal"),
        (SPLIT.replace("1:", "0x8:"), "'0x8' is a number"),
        (SPLIT.replace("1:", "1_0:"), "'1_0' is a number"),
        (SPLIT.replace("1:", "1:30:"), "'1:30' is a number"),
        (SPLIT.replace("1:", "no:"), "'no' means false"),
        (SPLIT.replace("1:", "~:"), "'~' means null"),
        (SPLIT.replace("1:", "1.0:"), "'1.0' cannot be a key"),
        (SPLIT.replace("1:", "'010':"), "'010' is no number of a split"),
        (SPLIT.replace("1:", "-1:"), "'-1' is no number of a split"),
        (SPLIT.replace("1:", "split1:"), "'split1' is no number of a split"),
        (SPLIT + "\n      '1': {seed: 1}", "key '1' is given twice"),
        ("<<: {1: {seed: 1}}", "merge keys ('<<') are not read here"),
        ("1: {novel: [sea, sea]}", "novel has duplicates: sea, sea"),
        ("1: {novel: [sea, '']}", "is empty"),
        ("1: {novel: sea}", "novel': should be a list, e.g. [sea], found 'sea'"),
        ('1: {novel: "dark sea, star"}', "novel': should be a list, e.g. [dark sea, star], found"),
        ("1: {novel: [1]}", "should be text"),
        ("1: {seed: 1, ratio: [0, 1]}", "ratio.0': input should be greater than or equal to 1"),
        ("1: {seed: 1, ratio: [1]}", "ratio.1"),
        ("1: {seed: -1}", "seed': input should be greater"),
        ("1: {seed: true}", "seed': should be a whole number, found True"),
        ("1: {}", "give exactly one of novel, file, seed"),
        ("1: 5", "should be a mapping"),
        ("{}", "splits"),
    ],
    SETTINGS: [
        ("settings: {steps: 5}", "unknown key 'settings.steps'; did you mean 'settings.optim.steps'?"),
        ("settings: {optim: 5}", "key 'settings.optim': should be a mapping"),
        ("settings: {optim: [5]}", "key 'settings.optim': should be a mapping"),
        ("settings: [5]", "settings': should be a mapping"),
        ("settings: {optim: {stps: 5}}", "did you mean 'settings.optim.steps'?"),
        ("settings: {optim: {steps: true}}", "should be a whole number, found True"),
        ("settings: {optim: {steps: 0}}", "greater than or equal to 1"),
        ("settings: {optim: {steps: 1e3}}", "should be a whole number, found 1000.0"),
        ("settings: {optim: {lr: .inf}}", "key 'settings.optim.lr': should be a finite number, found inf"),
        ("settings: {optim: {lr: .nan}}", "should be a finite number, found nan"),
        ("settings: {optim: {lr: '1e-3'}}", "found '1e-3'"),
        ("settings: {optim: {lr: true}}", "found True"),
        ("settings: {optim: {lr: -1}}", "greater than 0, found -1"),
        ("settings: {loss: {alpha: 1e999}}", "should be a finite number"),
        ("settings: {pairing: {mode: 1}}", "'none', 'paper', 'code' or 'self', found 1"),
        ("settings: {augment: {flip: 1}}", "should be true or false, found 1"),
        ("settings: {augment: {crop: 1}}", "crop': input should be greater than or equal to 16, found 1"),
        ("settings: {augment: {crop: 200000}}", "crop': input should be less than or equal to 8192, found 200000"),
        ("settings: {augment: {short_edges: [64, 64]}}", "augment.short_edges has duplicates: 64, 64"),
        ("settings: {augment: {short_edges: [96], max_long_edge: 64}}", "the shorter side (96) exceeds the bound"),
        ("settings: {model: {heads: 3}}", "must be a multiple of model.heads"),
        ("settings: {similarity: {points: 100000}}", "the embedding grid has"),
        ("settings: {optim: {clip_norm: 0}}", "greater than 0"),
        ("inference: {short_edge: 128, max_long_edge: 64}", "the shorter side (128) exceeds the bound"),
        ("inference: {short_edge: 1}", "greater than or equal to 16"),
        ("shards: {test: 0}", "shards.test': input should be greater"),
        ("baselines: {classifer: {}}", "did you mean 'baselines.classifier'?"),
        ("baselines: {epochs: 3}", "did you mean 'baselines.classifier.epochs'?"),
        ("baselines: {retab_walk: {stages: true}}", "should be a whole number, found True"),
        ("source: {kind: scene}", "source.kind: unknown kind 'scene'; did you mean 'scenes'?"),
        ('source: {kind: "sce\\nnes"}', "source.kind: unknown kind 'sce nes'"),
        ('baselines: {"a\\u2028b": 1}', "unknown key 'baselines.a b'"),
        ("source: {size: 1e9}", "should be a whole number"),
        ("source: {size: 1000000}", "less than or equal to 8192"),
        ("expect: {train: none}", "should be a whole number, found 'none'"),
    ],
    "results: results": [
        ("results: ''", "results is empty"),
        ("results: ' '", "results is empty"),
        ('results: "a{b}"', "results holds '{', which Snakemake takes for a wildcard"),
        ('results: "a<b>"', "results holds '<'"),
        ("results: 5", "results': should be text", "found 5"),
        ('results: "a\\nb"', "results holds the control character '\\n'"),
        ('results: "a\\0b"', "control character"),
        ("results: [a]", "results': should be text"),
    ],
    "experiments: [mine]": [
        ("experiments: [mien]", "config/mine.yaml: experiments: no experiment 'mien'", "did you mean 'mine'?"),
        ("experiments: [mine, mine]", "experiments has duplicates"),
        ("experiments: []", "experiments"),
        ("experiments: [stage_costs]", "'stage_costs' is a folder or file of the results or data; call the experiment"),
        ("experiments: [../mine]", "string should match pattern"),
        ("experiments: [" + "a" * 300 + "]", "at most 60 characters"),
    ],
    "figures: [mine]": [
        ("figures: [mine, mine]", "figures has duplicates"),
        ("figures: [mien]", "config/mine.yaml: figures: no figure 'mien'", "did you mean 'mine'?"),
    ],
    STUDY[STUDY.index("datasets") :]: [
        ("datasets: {}", "key 'datasets': should have at least one entry"),
        ("datasets: []", "key 'datasets': should be a mapping"),
        ("", "key 'datasets' is missing; a study replaces config/config.yaml"),
        ("datasets: {scens: {splits: {1: {seed: 1}}}}", "config/mine.yaml: datasets: no dataset 'scens'"),
        ("datasets: {scenes: {}}", "key 'datasets.scenes.splits' is missing"),
        ("datasets: {scenes: null}", "should be a mapping of keys to values, found null"),
    ],
}  # fmt: skip


OTHER_FILES = {
    METHOD_FILE: [
        ("label: Two", "label: One", "'one' and 'two' have the same label 'One'", METHOD_FILE),
        ("label: Two", 'label: "a\\nb"', "label holds the control character"),
        ("label: Two", "label: ''", "label is empty"),
        ("label: Two", "label: 1e3", "should be text", "found 1000.0"),
        ("inherits: one", "inherits: two", "methods inherit in a circle: two -> two"),
        ("inherits: one", "inherits: on", "'on' means true"),
        ("inherits: one", "inherits: oen", "config/methods/two.yaml: inherits: no method 'oen'"),
        ("{alpha: 0.2}", "{alfa: 0.2}", "did you mean 'settings.loss.alpha'?"),
        ("{loss: {alpha: 0.2}}", "{alpha: 0.2}", "did you mean 'settings.loss.alpha'?"),
        ("settings: {loss: {alpha: 0.2}}", "datasets: {scenes: {loss: {alpha: yes}}}", "'yes' means true"),
        (
            "settings: {loss: {alpha: 0.2}}", "splits: {scenes: {7: {loss: {alpha: no one}}}}",
            "splits.scenes.7", "key 'settings.loss.alpha'", "found 'no one'",
        ),
        (
            "settings: {loss: {alpha: 0.2}}", "splits: {scenes: {'07': {loss: {alpha: 0.2}}}}",
            "'07' is no number of a split",
        ),
        ("settings: {loss: {alpha: 0.2}}", "labels: pseudo\nteacher: two", "teachers form a circle"),
    ],
    TABLE_FILE: [
        ("[[one, two]]", "[[one, one]]", "compare: one is compared with itself"),
        ("[[one, two]]", "[[one, two], [one, two]]", "compare has duplicates"),
        ("[[one, two]]", "[[one]]", "compare.0.1"),
        ("[[one, two]]", "[[one, too]]", "too is no row of this table"),
        ("[one, two]", "[one, one]", "methods has duplicates: one, one"),
        ("[one, two]", "[]", "methods"),
        ("[one, two]", "[one, tow]", "tow"),
        ("title: Mine", "title: ''", "title is empty"),
        ("title: Mine", "title: Mine\nsplits: {scenes: [1, 1]}", "splits.scenes", "has duplicates: 1, 1"),
        ("title: Mine", "title: Mine\nsplits: {scenes: [2]}", "no split for experiment 'mine'"),
        ("title: Mine", "title: Mine\nsplits: {senes: [2]}", "'senes'; did you mean 'scenes'?"),
        ("title: Mine", "title: Mine\nmetrics: [novel, novel]", "metrics has duplicates"),
        ("title: Mine", "title: Mine\nmetrics: []", "metrics"),
        ("title: Mine", "title: Mine\nseeds: [1, 1]", "seeds has duplicates"),
        ("title: Mine", "title: Mine\nsweep: [loss.alhpa]", "did you mean 'loss.alpha'?"),
        ("title: Mine", "title: Mine\nsweep: [loss.alpha, loss.alpha]", "sweep has duplicates"),
        ("title: Mine", "title: Mine\nreported: {scenes: {split1: {one: {novel: .nan}}}}", "finite"),
        ("title: Mine", "title: Mine\nreported: {scenes: {split1: {on_: {novel: 1}}}}", "on_"),
    ],
    FIGURE_FILE: [
        ("[one, two]", "[one, one]", "methods has duplicates"),
        ("title: Mine", "title: Mine\ncount: 100000", "less than or equal to 1000"),
        ("title: Mine", "title: Mine\nsplit: 2", "has no split2; it has split1"),
        ("title: Mine", "title: Mine\ndataset: scene", "has no dataset 'scene'; it has scenes"),
        ("kind: qualitative", "kind: qualitativ", "found 'qualitativ'"),
    ],
    DATASET_FILE: [
        ("title:", "titel: x\ntitle:", "did you mean 'title'?"),
    ],
}  # fmt: skip
"""The same for the other files of a study, by file: what is there, what is written in its place, what the line says."""


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [(STUDY_FILE, old, new, says) for old, cases in MEANS.items() for new, *says in cases]
    + [(name, old, new, says) for name, cases in OTHER_FILES.items() for old, new, *says in cases],
)
def test_a_bad_file_of_a_study(folder, capsys, name, old, new, says):
    edit(folder, name, old, new)
    refused(["plan", "--study", STUDY_FILE], folder, capsys, *says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (STUDY.replace("results: results", "results: Müll").encode("latin-1"), ["not UTF-8 text", "save it as UTF-8"]),
        (STUDY.encode("utf-16"), ["not UTF-8 text", "save it as UTF-8"]),
        (STUDY.encode("utf-16-le"), ["not plain text", "the control character 0x00 at character 1"]),
        (STUDY.encode() + b"\x00", ["not plain text", "0x00"]),
        (b"", ["expected 'key: value' lines, found nothing"]),
        (b"# nothing\n", ["found nothing"]),
        (b"- a\n- b\n", ["found list"]),
        (b"text", ["found str"]),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ["not UTF-8 text"]),
        (
            b"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 10)) for c in range(98, 106)),
            ["more than 100000 values", "use fewer aliases"],
        ),
    ],
)
def test_a_study_that_is_no_text_or_no_mapping(folder, capsys, content, says):
    (folder / STUDY_FILE).write_bytes(content)
    refused(["plan", "--study", STUDY_FILE], folder, capsys, STUDY_FILE, *says)


@pytest.mark.parametrize(
    ("study", "says"),
    [
        ("config", ["config: cannot be read (Is a directory)"]),
        ("config/none.yaml", ["no such file"]),
        ("config/min.yaml", ["no such file; did you mean 'config/mine.yaml'?"]),
        ("config/mine.yaml/x", ["cannot be read (Not a directory)"]),
        ("x" * 300, ["cannot be read (File name too long)"]),
    ],
)
def test_a_study_that_is_no_file(folder, capsys, study, says):
    refused(["plan", "--study", study], folder, capsys, *says)


def test_marks_and_line_ends_of_windows_are_read(folder, capsys):
    (folder / STUDY_FILE).write_bytes(b"\xef\xbb\xbf" + STUDY.replace("\n", "\r\n").encode())
    with pytest.raises(AssertionError, match="exit status 0"):
        refused(["plan", "--study", STUDY_FILE], folder, capsys)


def test_every_mistake_of_a_study_has_its_line(folder, capsys):
    edit(folder, STUDY_FILE, "seeds: [0]", "seeds: [-1, 1.5]")
    edit(folder, STUDY_FILE, "results:", "result:")
    with pytest.raises(AssertionError, match="3 lines on stderr"):
        refused(["plan", "--study", STUDY_FILE], folder, capsys)


def test_an_exponent_without_a_point_is_a_number(folder):
    from simformer.config.layers import read_study
    from simformer.study.catalogue import Catalogue

    edit(folder, STUDY_FILE, SETTINGS, "settings: {optim: {lr: 1e-3, weight_decay: 0}}")
    catalogue = Catalogue(read_study([Path(STUDY_FILE)], ["seeds=[3]"]), STUDY_FILE, Path("config"))
    optim = catalogue.run("scenes", "split1", "two", 0).settings.optim
    assert (optim.lr, optim.weight_decay, catalogue.study.seeds) == (0.001, 0.0, (3,))
