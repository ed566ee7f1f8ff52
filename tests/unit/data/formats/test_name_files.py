"""The file of `--names`: no id moves, no number and no line of headings becomes a name."""

import pytest

from simformer.data.formats.name_files import read_names
from simformer.errors import UserError
from tests.foreign import text

THREE = {0: "grass", 1: "sky", 2: "tree"}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("grass\nsky\ntree\n\n\n", THREE),
        ("grass\n\ntree\n", {0: "grass", 1: None, 2: "tree"}),
        ("\r\nsky\r\n", {0: None, 1: "sky"}),
        ("class_id,name\n0,grass\n1,sky\n2,tree\n", THREE),
        ("Nummer;Bezeichnung\n0;grass\n1;sky\n\n2;tree\n", THREE),
        ("# made by hand\n0: grass\n1: sky\n2: tree\n", THREE),
        ("0 grass\n1 sky\n2 tree\n", THREE),
        ("0. grass\n1. sky\n2. tree\n", THREE),
        ("0=grass\n1=sky\n2=tree\n", THREE),
        ("class name\n0 grass\n1 sky\n2 tree\n", THREE),
        ("0,grass", {0: "grass"}),
        ("4 wheeler", {0: "4 wheeler"}),
        ("wall, brick\nbuilding, edifice", {0: "wall, brick", 1: "building, edifice"}),
        ('id,name\n0,"wall, brick"\n7,\n', {0: "wall, brick", 7: None}),
        ("names:\n  0: grass\n  1: sky\n  2: tree\n", THREE),
        ("path: ../farm  # YOLO\ntrain: images/train\nnc: 3\nnames: [grass, sky, tree]\n", THREE),
        ("names:\n- grass\n- sky\n- tree\n", THREE),
        ("- grass\n- sky\n- tree\n", THREE),
        ('{"id2label": {"0": "grass", "1": "sky", "2": "tree"}}', THREE),
    ],
)
def test_every_id_has_its_name(tmp_path, content, names):
    assert read_names(text(tmp_path / "names", content), False) == names


def test_yaml_by_its_ending(tmp_path):
    assert read_names(text(tmp_path / "data.yaml", "0: grass\n1: sky\n2: tree\n"), False) == THREE
    assert read_names(text(tmp_path / "data.yml", "[grass, sky, tree]"), False) == THREE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no name; expected one name per line"),
        ("\n\n", "has no name"),
        ("0\n1\n", "has no name"),
        ("void\n1: sky\n2: tree\n", "line 1 has no id: 'void', but all lines below it have one"),
        ("0,grass\nsky\n2,tree\n", "line 1 is '0,grass': a number beside a name"),
        ("grass,0\nsky,1\n", "line 1 is 'grass,0': a number beside a name"),
        ("road,128,64,128\nsky,70,130,180\n", "for colours: --colours"),
        ("id,name,r,g,b\n0,road,128,64,128\n", "line 2 has more than two cells: '0,road,128,64,128'"),
        ("0,grass\n0,sky\n", "id 0 is given twice, in lines 1 and 2"),
        ("0,grass\n1000,sky\n", "names of ids up to 1000; an id is a number from 0 to 255"),
        ("name\ngrass\nsky\n", "begins with 'name', which looks like a heading"),
        ("name,colour\ngrass,green\n", "begins with 'name,colour', which looks like a heading"),
        ("# classes\ngrass\nsky\n", "line 1 is '# classes', a comment"),
        ('{"1": "sky", "01": "tree"}', "no names of ids"),
        ("names:\n  0: grass\n  0: sky\n", "cannot be read as YAML"),
        ("names:\n  grass: 0\n", "no names of ids"),
        ("grass\nsky\nsky\n", "id 1 and id 2 have the same name, 'sky'; give each its own name"),
        ("0,sky\n7,sky\n", "id 0 and id 7 have the same name, 'sky'"),
        ("names: [k\u00fche, ku\u0308he]\n", "id 0 and id 1 have the same name"),
        ('{"0": "sky", "4": "sky"}', "--rename 'sky 2=sky'"),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    with pytest.raises(UserError) as caught:
        read_names(text(tmp_path / "names", content), False)
    assert message in str(caught.value) and "\n" not in str(caught.value)
