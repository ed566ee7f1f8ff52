"""Label maps as pictures: ids, ids from 1, reduce_zero_label, gaps, colours."""

import numpy as np
import pytest

from tests.foreign import HEIGHT, WIDTH, halves, imported, photographs, png, refused, text

COLOURS = {"road": (128, 64, 128), "sky": (70, 130, 180), "cow": (1, 2, 3)}


def dataset(tmp_path, **maps):
    photographs(tmp_path / "photos", *(f"{name}.jpg" for name in maps))
    for name, label in maps.items():
        png(tmp_path / f"maps/{name}.png", label)
    return ["--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps"]


def colour_map(left, right):
    return np.array([[COLOURS.get(n, (0, 0, 0)) for n in [left, right]]], np.uint8).repeat(HEIGHT, 0).repeat(8, 1)


def test_ids_with_names_in_order(tmp_path):
    options = dataset(tmp_path, a=halves(0, 2), b=halves(1, 255))
    made = imported(tmp_path, *options, "--names", text(tmp_path / "names.txt", "road\nsky\ncow\n"))
    assert made.classes == ["road", "sky", "cow"]
    assert made.names("a") == ["road", "cow"] and made.names("b") == ["sky", None]
    assert (made.root / "images/a.jpg").samefile(tmp_path / "photos/a.jpg")
    assert not (made.root / "tags.csv").exists() and not made.tags_only
    assert sorted(made.train + made.test) == ["a", "b"] and len(made.test) == 1


@pytest.mark.parametrize(
    "names",
    ["road\nsky\n", "id,name\n1,road\n2,sky\n", "1: road\r\n2: sky", '{"1": "road", "2": "sky"}', '["road", "sky"]'],
)
def test_ids_from_1_and_reduce_zero_label(tmp_path, names):
    options = dataset(tmp_path, a=halves(0, 1), b=halves(2, 1))
    made = imported(tmp_path, *options, "--reduce-zero-label", "--names", text(tmp_path / "names", names))
    assert made.classes == ["road", "sky"]
    assert made.names("a") == [None, "road"] and made.names("b") == ["sky", "road"]


def test_ids_from_1_without_the_option(tmp_path, capsys):
    options = dataset(tmp_path, a=halves(1, 2), b=halves(2, 1))
    line = refused(tmp_path, capsys, *options, "--names", text(tmp_path / "names.txt", "road\nsky\n"))
    assert "names.txt has 2 names, for ids 0..1, but label maps also hold 2 (2 label maps: " in line
    assert "/maps/b.png); add lines for them, without a name if they mean no class; or, as none holds 0, if" in line
    assert "if yours count from 1: --reduce-zero-label\n" in line and line.count("--reduce-zero-label") == 1


def test_ids_without_a_name_are_said_once(tmp_path, capsys):
    maps = {f"{i:02d}": halves(0, i % 3 + 1) for i in range(30)}
    options = dataset(tmp_path, **maps)
    line = refused(tmp_path, capsys, *options, "--names", text(tmp_path / "names.txt", "road\nsky\n"))
    assert "1 problem found in this dataset" in line and "2 (10 label maps: " in line and " and 7 more), 3 (10" in line
    assert "--reduce-zero-label" not in line
    line = refused(tmp_path, capsys, *options, "--names", text(tmp_path / "names.txt", "road\nsky\ncow\n"))
    assert "; or, if 0 means no class and yours count from 1: --reduce-zero-label" in line
    made = imported(tmp_path, *options, "--names", text(tmp_path / "names.txt", "road\nsky\n\ncow\n"))
    assert made.classes == ["road", "sky", "cow"] and made.names("01") == ["road", None]
    assert "names.txt: ids without a name mean no class: 2\n" in capsys.readouterr().out


def test_colours_that_are_read_as_ids(tmp_path, capsys):
    options = dataset(tmp_path, **{f"{i:02d}": colour_map("road", "sky") for i in range(30)})
    line = refused(tmp_path, capsys, *options, "--names", text(tmp_path / "names.txt", "road\nsky\n"))
    assert (
        "29.png" not in line
        and " and 27 more: 30 label maps of red, green and blue, not of ids; if the colours" in line
    )
    assert "are classes: --masks colours PATH --colours FILE; else save one 8-bit channel of ids\n" in line


def test_gaps_in_ids_and_values_without_class(tmp_path):
    options = dataset(tmp_path, a=halves(7, 26), b=halves(8, 7))
    made = imported(tmp_path, *options, "--names", text(tmp_path / "n.csv", "\ufeffid;name\n7;road\n26;car\n8;\n"))
    assert made.classes == ["road", "car"]
    assert made.names("a") == ["road", "car"] and made.names("b") == [None, "road"]


def test_a_palette_has_ids_as_indices(tmp_path):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    for name in "ab":
        png(tmp_path / f"maps/{name}.png", halves(1, 0), [9, 9, 9, 200, 0, 0])
    names = text(tmp_path / "classes.json", {"names": ["road", "sky"]})
    options = ["--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps", "--names", names]
    assert imported(tmp_path, *options).names("a") == ["sky", "road"]


def test_a_suffix_and_folders_of_subsets(tmp_path, capsys):
    """Cityscapes' habit: several pictures per image, in folders of subsets."""
    for name in ("train/x/1", "val/x/2"):
        photographs(tmp_path / "photos", f"{name}_leftImg8bit.png")
        png(tmp_path / f"maps/{name}_gtFine_labelIds.png", halves(0, 1))
        png(tmp_path / f"maps/{name}_gtFine_color.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    for path in (tmp_path / "photos").rglob("*.png"):
        path.rename(path.with_name(path.name.replace("_leftImg8bit", "")))
    names = text(tmp_path / "names.txt", "road\nsky\n")
    options = ["--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps", "--names", names]
    made = imported(tmp_path, *options, "--mask-suffix", "_gtFine_labelIds")
    assert made.train == ["1"] and made.test == ["2"] and made.names("1") == ["road", "sky"]
    assert "there is '1': give what follows in the name as --mask-suffix" in refused(tmp_path, capsys, *options)


@pytest.mark.parametrize(
    "table",
    [
        "road,128,64,128\nsky,70,130,180\n,0,0,0\n",
        "name;r;g;b\nroad;128;64;128\nsky;70;130;180\n;0;0;0",
        "128 64 128\troad\n70 130 180\tsky\n0 0 0\n",
        "road #804080\nsky #4682b4\n#000000",
        "# label:color_rgb:parts:actions\nroad:128,64,128::\nsky:70,130,180::\n:0,0,0::\n",
    ],
)
def test_colours(tmp_path, table):
    options = dataset(tmp_path, a=colour_map("road", "sky"), b=colour_map("sky", None))
    options[3] = "colours"
    made = imported(tmp_path, *options, "--colours", text(tmp_path / "colours.txt", table))
    assert made.classes == ["road", "sky"]
    assert made.names("a") == ["road", "sky"] and made.names("b") == ["sky", None]


def test_a_colour_without_name(tmp_path, capsys):
    options = dataset(tmp_path, a=colour_map("road", "cow"), b=colour_map("road", "sky"))
    options[3] = "colours"
    line = refused(tmp_path, capsys, *options, "--colours", text(tmp_path / "c", "road,128,64,128\nsky,70,130,180"))
    assert "maps/a.png: colours without a name: 1,2,3 (96 pixels); add them to the file of --colours" in line


def test_ids_that_are_read_as_colours(tmp_path, capsys):
    options = dataset(tmp_path, a=halves(0, 1), b=halves(2, 1))
    options[3] = "colours"
    line = refused(tmp_path, capsys, *options, "--colours", text(tmp_path / "c", "road,128,64,128\nsky,70,130,180"))
    assert "; if these values are ids: --masks ids PATH --names FILE" in line


BAD = {
    "no names": ([], "give their names with --names FILE"),
    "no file of names": (["--names", "nowhere.txt"], "nowhere.txt"),
    "empty names": (["--names", ""], "has no name; expected one name per line"),
    "broken JSON": (["--names", '{"a": 1}'], "no names of ids; expected a list of names"),
    "two tables": (["--names", "road", "--colours", "road,1,2,3"], "--names and --colours: two tables"),
    "a colour too large": (["--colours", "road,1,2,300"], "300 in a colour"),
    "no colours": (["--colours", "road"], "no colours with names"),
    "two colours of one name": (
        ["--colours", "road,1,2,3\nsky,4,5,6\nroad,7,8,9"],
        "colour 1,2,3 and colour 7,8,9 have the same name, 'road'",
    ),
    "colours and zero": (["--colours", "road,1,2,3", "--reduce-zero-label"], "--reduce-zero-label is for ids"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_names(tmp_path, capsys, case):
    options, message = BAD[case]
    files = {o: text(tmp_path / f"{i}.txt", o) for i, o in enumerate(options) if not o.startswith(("--", "nowhere"))}
    given = dataset(tmp_path, a=halves(0, 1))
    assert message in refused(tmp_path, capsys, *given, *(files.get(o, o) for o in options))


def test_a_map_of_another_size(tmp_path, capsys):
    options = dataset(tmp_path, a=halves(0, 1)[:, 1:], b=halves(0, 1))
    line = refused(tmp_path, capsys, *options, "--names", text(tmp_path / "n", "road\nsky"))
    assert (
        "a.jpg is 16x12 (width x height, upright) but" in line and "maps/a.png is 15x12; expected equal sizes" in line
    )


def test_a_folder_without_maps(tmp_path, capsys):
    photographs(tmp_path / "photos", "a.jpg")
    text(tmp_path / "maps/readme.md", "hello")
    options = ["--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps"]
    line = refused(tmp_path, capsys, *options, "--names", text(tmp_path / "n", "road\nsky"))
    assert "no label maps; expected PNG files; there is 'readme.md'" in line
