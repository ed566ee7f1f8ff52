"""CVAT for images 1.1: polygons, masks, tags, their order, subsets, and the zip archive as it is exported."""

import zipfile

import pytest

from tests.foreign import HEIGHT, WIDTH, imported, photographs, refused, text

HALF = WIDTH // 2
CORNERS = f"0.0,0.0;{HALF}.0,0.0;{HALF}.0,{HEIGHT}.0;0.0,{HEIGHT}.0"
POLYGON = f'<polygon label="{{}}" source="manual" occluded="0" points="{CORNERS}" z_order="{{}}"/>'
RUNS = ", ".join(["2", "6"] * 4)
MASK = f'<mask label="{{}}" occluded="0" rle="{RUNS}" left="{HALF}" top="4" width="8" height="4" z_order="0"/>'
"""A box of four rows in the right half; the first two columns of each row are outside the shape."""


def xml(*images, labels=("Kuh:any", "Wiese:polygon", "sonnig:tag")):
    pairs = [label.split(":") for label in labels]
    meta = "".join(f"<label><name>{name}</name><type>{kind}</type></label>" for name, kind in pairs)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task><id>1</id>'
        f"<labels>{meta}</labels></task></meta>{''.join(images)}</annotations>"
    )


def image(name, *items, rest=""):
    return f'<image id="0" name="{name}" width="{WIDTH}" height="{HEIGHT}" {rest}>{"".join(items)}</image>'


def test_polygons_masks_and_tags(tmp_path):
    """The archive as CVAT exports it, its images inside."""
    names = ["a.jpg", "sub/b.jpg", "c.jpg"]
    folder = photographs(tmp_path / "all/images", *names)
    content = xml(
        image("a.jpg", POLYGON.format("Wiese", 0), MASK.format("Kuh"), '<tag label="sonnig" source="manual"></tag>'),
        image("sub/b.jpg", POLYGON.format("Kuh", 1), POLYGON.format("Wiese", 0), "<box label='Kuh'/>"),
        image("c.jpg", '<tag label="sonnig"/>'),
    )
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in names:
            file.write(folder / name, f"images/{name}")
        file.writestr("annotations.xml", content)
    made = imported(tmp_path, "--images", archive, "--masks", "cvat", archive, "--tags", "cvat", archive)
    assert made.classes == ["Kuh", "Wiese", "sonnig"] and made.tags_only == ["sonnig"]
    assert made.names("b") == ["Kuh", None], "drawn by z_order"
    label = made.label("a")
    assert (label[:, :HALF] == 1).all() and (label[4:8, HALF + 2 :] == 0).all()
    assert (label[:, HALF : HALF + 2] == 255).all() and (label[:4, HALF:] == 255).all()
    assert {name: states["sonnig"] for name, states in made.tags.items()} == {"a": "1", "b": "0", "c": "1"}
    assert list(made.tags["c"]) == ["sonnig"], "masks tell of the others"


def test_subsets_of_a_project_and_a_file_alone(tmp_path):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    path = text(
        tmp_path / "annotations.xml",
        xml(
            image("a.jpg", POLYGON.format("Kuh", 0), rest='subset="Train"'),
            image("b.jpg", POLYGON.format("Kuh", 0), rest='subset="Validation"'),
        ),
    )
    made = imported(tmp_path, "--images", tmp_path / "photos", "--masks", "cvat", path)
    assert made.train == ["a"] and made.test == ["b"] and made.classes == ["Kuh", "Wiese"]


BAD = {
    "no XML": ("<annotations>", "cannot be read as XML"),
    "another root": ("<data/>", "<data> without <image>; expected an export 'CVAT for images 1.1'"),
    "a video": ("<annotations><track/></annotations>", "an export for video; expected"),
    "no points": (xml(image("a.jpg", '<polygon label="Kuh"/>')), "image a.jpg: polygon 1: no `points`"),
    "no label": (xml(image("a.jpg", '<polygon points="1,1"/>')), "polygon 1: no `label`"),
    "broken points": (xml(image("a.jpg", '<polygon label="Kuh" points="1,2,3"/>')), "expected x,y;x,y;..."),
    "a mask outside": (
        xml(image("a.jpg", MASK.format("Kuh").replace('left="8"', 'left="9"'))),
        "mask 1: a box up to 17, 8 in an image of height 12 and width 16",
    ),
    "a mask too short": (xml(image("a.jpg", MASK.format("Kuh").replace("2, 6, ", "", 1))), "run lengths of 24 pixels"),
    "no size": (xml(image("a.jpg", POLYGON.format("Kuh", 0)).replace('height="12"', "")), "height '' and width '16'"),
    "no name": (xml(image("", POLYGON.format("Kuh", 0))), "image '0' has no name"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(tmp_path, capsys, case):
    content, message = BAD[case]
    photographs(tmp_path / "photos", "a.jpg")
    path = text(tmp_path / "annotations.xml", content)
    line = refused(tmp_path, capsys, "--images", tmp_path / "photos", "--masks", "cvat", path)
    assert message in line and str(path) in line


def test_a_tag_without_label_and_a_folder_without_xml(tmp_path, capsys):
    photos = photographs(tmp_path / "photos", "a.jpg")
    path = text(tmp_path / "annotations.xml", xml(image("a.jpg", "<tag/>")))
    assert "a tag without `label`" in refused(tmp_path, capsys, "--images", photos, "--tags", "cvat", path)
    line = refused(tmp_path, capsys, "--images", photos, "--tags", "cvat", photos)
    assert "no XML file; expected an export 'CVAT for images 1.1'" in line


@pytest.mark.parametrize("kind", ["grows", "opens"])
def test_entities_neither_grow_nor_open_files(kind, tmp_path, capsys):
    photographs(tmp_path / "photos", "a.jpg")
    secret = text(tmp_path / "secret.txt", "Kuh")
    levels = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12)]
    entities = {"grows": f'<!ENTITY e0 "Kuh">{"".join(levels)}', "opens": f'<!ENTITY e11 SYSTEM "{secret.as_uri()}">'}
    content = xml(image("a.jpg", "&e11;")).replace(
        "<annotations>", f"<!DOCTYPE a [{entities[kind]}]>\n<annotations>", 1
    )
    path = text(tmp_path / "annotations.xml", content)
    line = refused(tmp_path, capsys, "--images", tmp_path / "photos", "--masks", "cvat", path)
    assert "cannot be read as XML" in line and "Kuh" not in line
