"""Open Images: verified, machine and unlisted labels."""

import pytest

from tests.foreign import imported, photographs, refused, text

HEADER = "ImageID,Source,LabelName,Confidence\n"
ROWS = """\
000a,verification,/m/01,1
000a,verification,/m/02,0
000a,machine,/m/03,0.9
000b,machine,/m/01,0.4
000b,machine,/m/02,1
000b,verification,/m/02,0
000b,verification,/m/03,1
000b,crowdsource-verification,/m/03,0
ffff,verification,/m/01,1
"""
NAMES = '/m/01,Cow\n/m/02,"Sheep, domestic"\n/m/03,Bird\n/m/04,Zebra\n'


def options(tmp_path, rows=HEADER + ROWS, names=NAMES):
    photographs(tmp_path / "photos", "000a.jpg", "000b.jpg")
    text(tmp_path / "csv/train-annotations-human-imagelabels.csv", rows)
    text(tmp_path / "csv/class-descriptions.csv", names)
    return ["--images", tmp_path / "photos", "--tags", "open-images", tmp_path / "csv"]


@pytest.mark.parametrize("names", [NAMES, "\ufeffLabelName,DisplayName\n" + NAMES])
def test_verified_machine_and_unlisted_labels(tmp_path, names):
    made = imported(tmp_path, *options(tmp_path, names=names))
    assert made.classes == ["Cow", "Sheep, domestic", "Bird"], "those that its images have"
    assert list(made.tags["000a"].values()) == ["1", "0", "1"]
    assert list(made.tags["000b"].values()) == ["", "0", ""], "below the threshold; people win; people disagree"
    assert made.root.joinpath("tags.csv").read_text().splitlines()[0] == 'image,Cow,"Sheep, domestic",Bird'


def test_the_threshold_and_the_classes(tmp_path):
    given = options(tmp_path)
    made = imported(tmp_path, *given, "--confidence", "0.95", "--classes", "Bird", "Kuh", "--rename", "Cow=Kuh")
    assert made.tags == {"000a": {"Bird": "", "Kuh": "1"}}


def test_people_who_contradict_each_other_are_noted(tmp_path, capsys):
    """The class is unknown, whatever a third person or a machine says."""
    rows = "".join(f"000a,{who},/m/01,{said}\n" for who, said in [("a", 1), ("b", 0), ("c", 1), ("machine", 0.99)])
    made = imported(tmp_path, *options(tmp_path, HEADER + rows + "000b,verification,/m/01,1\n"))
    assert "000a" not in made.tags and made.tags["000b"] == {"Cow": "1"}
    assert "csv: lines contradict each other, so it is unknown: 'Cow' in 000a\n" in capsys.readouterr().out


def test_unlisted_is_unknown_unless_one_says_otherwise(tmp_path):
    given = options(tmp_path, rows=HEADER + "000a,verification,/m/01,1\n000b,verification,/m/03,1\n")
    made = imported(tmp_path / "1", *given)
    assert [list(made.tags[i].values()) for i in ("000a", "000b")] == [["1", ""], ["", "1"]]
    made = imported(tmp_path / "2", *given, "--unlisted", "absent")
    assert [list(made.tags[i].values()) for i in ("000a", "000b")] == [["1", "0"], ["0", "1"]]


def test_a_table_alone_finds_the_names_beside_it(tmp_path):
    given = options(tmp_path)
    given[-1] = tmp_path / "csv/train-annotations-human-imagelabels.csv"
    assert imported(tmp_path, *given).classes == ["Cow", "Sheep, domestic", "Bird"]


BAD = {
    "no table": ("", "empty; expected a table with the columns ImageID"),
    "other columns": ("ImageID,XMin\na,1\n", "its columns are ImageID, XMin; expected a table"),
    "no confidence": (HEADER + "000a,verification,/m/01,high\n", "line 2: confidence 'high'; expected a number from 0"),
    "too large": (HEADER + "000a,verification,/m/01,100\n", "confidence '100'"),
    "an unknown label": (HEADER + "000a,verification,/m/09,1\n", "label '/m/09' has no name in *class-descriptions*"),
    "a short row": (HEADER + "000a,verification\n", "line 2 has 2 cells"),
    "no image of ours": (HEADER + "0009,verification,/m/01,1\n", "no classes; is it the right file and format?"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, capsys, case):
    rows, message = BAD[case]
    assert message in refused(tmp_path, capsys, *options(tmp_path, rows=rows))


def test_names_are_needed(tmp_path, capsys):
    given = options(tmp_path)
    (tmp_path / "csv/class-descriptions.csv").unlink()
    assert "no *class-descriptions*.csv with the names of the labels" in refused(tmp_path, capsys, *given)
