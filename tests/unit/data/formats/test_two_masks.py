"""Two masks of one image within one source: refused in every format, since only one of them could be kept."""

import json

import pytest

from tests.foreign import HEIGHT, WIDTH, halves, imported, photographs, png, refused, text

POINTS = {"cow": "0,0;4,0;4,4", "sea": "4,0;8,0;8,4"}


def ids(folder):
    for name in ("a.png", "a.PNG"):
        png(folder / name, halves(0, 1))
    return ["a.PNG and ", "/a.png;"]


def voc(folder):
    for year in (2007, 2012):
        png(folder / f"VOC{year}/SegmentationClass/a.png", halves(0, 1))
    return ["VOC2007/SegmentationClass/a.png and ", "VOC2012/SegmentationClass/a.png;"]


def cvat(folder):
    for number, (name, points) in enumerate(POINTS.items()):
        image = f'<image name="a.jpg" width="{WIDTH}" height="{HEIGHT}"><polygon label="{name}" points="{points}"/>'
        text(folder / f"{number}.xml", f"<annotations>{image}</image></annotations>")
    return ["0.xml: image a.jpg and ", "1.xml: image a.jpg;"]


def label_studio(folder):
    tasks = []
    for number, name in enumerate(POINTS):
        value = {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": [name]}
        size = {"original_height": HEIGHT, "original_width": WIDTH}
        result = {"id": "r", "type": "polygonlabels", "value": value, **size}
        tasks.append({"id": number, "data": {"image": "a.jpg"}, "annotations": [{"result": [result]}]})
    text(folder / "project.json", json.dumps(tasks))
    return ["project.json: task 0 and ", "project.json: task 1;"]


def hugging_face(folder):
    for name in ("one.png", "two.png"):
        png(folder / name, halves(0, 1))
    text(folder / "metadata.csv", "file_name,mask_file_name\na.jpg,one.png\na.jpg,two.png\n")
    return ["one.png and ", "two.png;"]


@pytest.mark.parametrize("make", [ids, voc, cvat, label_studio, hugging_face])
def test_two_masks_of_one_image_are_refused(tmp_path, capsys, make):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    parts = make(tmp_path / "masks")
    names = text(tmp_path / "names.txt", "cow\nsea\n")
    form = make.__name__.replace("_", "-")
    options = ["--images", tmp_path / "photos", "--masks", form, tmp_path / "masks"]
    line = refused(tmp_path, capsys, *options, *(["--names", names] if make in (ids, hugging_face) else []))
    assert ": two masks, " in line and "remove one of them" in line and all(part in line for part in parts)


def test_an_empty_task_beside_an_annotated_one_is_no_second_mask(tmp_path):
    photographs(tmp_path / "photos", "a.jpg", "b.jpg")
    label_studio(tmp_path)
    drawn, other = json.loads((tmp_path / "project.json").read_text())
    other["data"]["image"] = "b.jpg"
    empty = {**drawn, "id": 7, "annotations": [{"result": []}]}
    for order in ([drawn, empty, other], [empty, drawn, other]):
        text(tmp_path / "project.json", json.dumps(order))
        options = ["--images", tmp_path / "photos", "--masks", "label-studio", tmp_path / "project.json"]
        made = imported(tmp_path / f"{order[0]['id']}", *options)
        assert made.classes == ["cow", "sea"] and (made.label("a") == 0).any()
