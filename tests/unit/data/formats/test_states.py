"""Masks and tags that do not agree: the mask decides, nothing is passed over in silence, and the audit takes it."""

from simformer.data.audit import audit
from simformer.data.folder import import_folder
from tests.foreign import halves, imported, photographs, png, text


def masks(tmp_path, **maps):
    """Masks of sky, sea and cow."""
    photographs(tmp_path / "photos", *(f"{name}.jpg" for name in maps))
    for name, label in maps.items():
        png(tmp_path / f"maps/{name}.png", label)
    names = text(tmp_path / "names.txt", "sky\nsea\ncow\n")
    return ["--images", tmp_path / "photos", "--masks", "ids", tmp_path / "maps", "--names", names]


def test_tags_that_contradict_masks_when_every_photograph_has_one(tmp_path, capsys):
    """A class that is tagged but not drawn is unknown there; one that is drawn is present, whatever the tag says."""
    options = masks(tmp_path, a=halves(0, 1), b=halves(0, 255), c=halves(1, 1), d=halves(0, 1))
    tags = text(tmp_path / "tags.csv", "image,sky,sea\na,0,1\nb,1,1\nc,0,1\nd,1,1\n")
    made = imported(tmp_path, *options, "--tags", "csv", tags, "--test", text(tmp_path / "test.txt", "d"))
    told = capsys.readouterr().out
    assert "'sea' is drawn in 2 training images (a, c), but not in 1 other image where tags say that it is: b." in told
    assert "tags say absent, or do not list a class that the mask shows; the mask decides: 'sky' in 1 image (a)" in told
    assert made.tags == {"a": {"sea": "1"}, "c": {"sea": "1"}, "d": {"sea": "1"}}, "in b it is unknown"
    import_folder(made.root, tmp_path / "data")
    index, _ = audit(tmp_path / "data", 1)
    assert {record.name: record.unknown for record in index.train} == {"a": (), "b": (1,), "c": ()}


def test_a_class_with_tags_that_one_training_mask_shows(tmp_path, capsys):
    """Its tags are no longer those of a class without masks; the user learns why and what to do."""
    maps = {name: halves(0, 1) for name in "abcd"}
    options = masks(tmp_path, **maps, e=halves(0, 2), f=halves(2, 1))
    tags = text(tmp_path / "tags.csv", "image,cow\na,1\nb,1\nc,1\nd,0\ne,1\nf,1\n")
    given = [*options, "--tags", "csv", tags, "--test"]
    made = imported(tmp_path / "1", *given, text(tmp_path / "test.txt", "f"))
    told = capsys.readouterr().out
    assert "'cow' is drawn in 1 training image (e), but not in 3 other images where tags say that it is: " in told
    assert "so they count as classes with masks, and the masks decide: 'cow' in 1 image (e)\n" in told
    assert "make every image whose mask shows it a test image: --test LIST" in told
    assert made.tags_only == [] and made.tags == {"d": {"cow": "0"}, "e": {"cow": "1"}, "f": {"cow": "1"}}
    made = imported(tmp_path / "2", *given, text(tmp_path / "test.txt", "e\nf"))
    assert made.tags_only == ["cow"] and made.tags["a"] == {"cow": "1"}
    told = capsys.readouterr().out
    assert "note: 'cow'" not in told and "count as classes with masks" not in told


def test_tags_that_agree_need_no_table(tmp_path, capsys):
    options = masks(tmp_path, a=halves(0, 1), b=halves(0, 255))
    made = imported(tmp_path, *options, "--tags", "csv", text(tmp_path / "t.csv", "image,sky,sea\na,1,1\nb,1,0\n"))
    told = capsys.readouterr().out
    assert not (made.root / "tags.csv").exists() and "tags say" not in told
    assert "note: these classes have tags, but masks of training images show them" in told
