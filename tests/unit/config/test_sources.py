"""Archives of a source: their names, where the downloads lie, and what makes two sources the same."""

from pathlib import Path

import pytest

from simformer.config.sources import ScenesSource, archives, content_json, parse_archives, parse_source
from simformer.errors import UserError

MAPS = parse_source(
    {
        "kind": "coco_stuff_maps",
        "labels": {"urls": ["http://a/labels.zip"], "checksum": "md5:" + "0" * 32},
        "images": [{"urls": ["http://a/train.zip"]}, {"path": "/mine/val.zip"}],
    }
)
SCENES = parse_source({"kind": "scenes", "difficulty": 0.1})


def test_archives_are_named_by_field_and_number():
    assert list(archives(MAPS)) == ["labels", "images1", "images2"]
    assert archives(MAPS)["images2"].path == "/mine/val.zip"
    assert archives(SCENES) == {}


def test_downloads_are_read_by_name():
    found = parse_archives(["labels=data/a=b", "images1=/x"], MAPS)
    assert found == {"labels": Path("data/a=b"), "images1": Path("/x")}
    assert parse_archives([], SCENES) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["labels"],
            "--archive labels: expected NAME=PATH, with one of the source's archives: labels, images1, images2",
        ),
        (["labels="], "--archive labels=: expected NAME=PATH"),
        (["image=/x"], "--archive image=/x: a source of kind 'coco_stuff_maps' has no 'image'; it has labels, images1"),
        (["labels=/x", "labels=/y"], "--archive labels=/y: 'labels' is given twice, first as /x"),
    ],
)
def test_mistakes_in_the_option_are_named(options, message):
    with pytest.raises(UserError) as caught:
        parse_archives(options, MAPS)
    assert str(caught.value).startswith(message)


def test_addresses_are_no_content_but_all_else_is():
    moved = MAPS.model_copy(update={"labels": MAPS.labels.model_copy(update={"urls": ("http://b/c.zip",)})})
    other = MAPS.model_copy(update={"labels": MAPS.labels.model_copy(update={"checksum": "md5:" + "1" * 32})})
    fewer = MAPS.model_copy(update={"images": MAPS.images[:1]})
    assert content_json(moved) == content_json(MAPS)
    assert "http" not in content_json(MAPS)
    assert len({content_json(source) for source in (MAPS, other, fewer)}) == 3


def test_content_of_a_source_without_archives_is_all_of_it():
    assert content_json(SCENES) == SCENES.model_dump_json()


def test_a_source_on_the_command_line_is_checked():
    assert parse_source({"kind": "scenes", "size": 40}) == ScenesSource(size=40)
    with pytest.raises(UserError, match="--source: unknown key 'source.siez'; did you mean 'source.size'"):
        parse_source({"kind": "scenes", "siez": 40})
