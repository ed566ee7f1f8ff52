"""The audit page: facts against a count by hand, and that the three files say the same."""

import json

import numpy as np
import pytest
from PIL import Image

from simformer.analysis.pages.audit_page import summarise, write_audit_page
from simformer.data.audit import audit
from simformer.data.images import read_label
from simformer.data.splits import Split, make_split
from tests.tagged import delete_masks


@pytest.fixture(scope="module")
def audited(scenes):
    return audit(scenes.data, 1)


def test_facts_agree_with_the_label_maps(scenes, audited, split):
    index, report = audited
    facts = summarise(report, index, {"split1": split})
    maps = [read_label(scenes.data / record.label) for record in index.train]
    pixels = np.concatenate([m.ravel() for m in maps])
    for entry in facts["classes"]:
        assert entry["train_images"] == sum((m == entry["id"]).any() for m in maps)
        assert entry["train_pixels"] == (pixels == entry["id"]).sum()
    shares = facts["splits"]["split1"]
    novel = np.isin(pixels, split.novel)
    assert shares["novel_pixels"] == pytest.approx(novel.mean())
    assert shares["unlabelled_pixels"] == pytest.approx((pixels == 255).mean())
    assert shares["base_pixels"] == pytest.approx(((pixels != 255) & ~novel).mean())
    has_novel = np.array([np.isin(m, split.novel).any() for m in maps])
    has_base = np.array([np.isin(m, split.base).any() for m in maps])
    counted = [shares[f"images_with_{group}"] for group in ("base", "novel", "both")]
    assert counted == [has_base.sum(), has_novel.sum(), (has_base & has_novel).sum()]
    rarest = min(split.novel, key=lambda k: facts["classes"][k]["train_images"])
    assert shares["rarest_novel"][0] == facts["classes"][rarest]["train_images"]


def test_a_split_without_novel_classes_has_no_rarest(audited):
    index, report = audited
    facts = summarise(report, index, {"full": Split(index.classes, ())})
    assert facts["splits"]["full"]["rarest_novel"] is None and facts["splits"]["full"]["novel_pixels"] == 0


def test_pixels_of_classes_without_masks_are_not_counted_as_none(scenes, split, tmp_path):
    """They are somewhere among the unlabelled pixels: 0 % would be wrong."""
    names = [scenes.index.classes[k] for k in split.novel]
    data = delete_masks(scenes.data, tmp_path / "data", names)
    index, report = audit(data, 1)
    write_audit_page(report, index, {"split1": split}, data, tmp_path / "audit.json")
    facts, table = json.loads((tmp_path / "audit.json").read_text()), (tmp_path / "audit.md").read_text()
    for entry in facts["classes"]:
        assert (entry["train_pixels"] is None) == (entry["name"] in names)
    assert facts["splits"]["split1"]["novel_pixels"] is None
    row = next(line for line in table.splitlines() if line.startswith("| split1 |"))
    assert row.split(" | ")[6] == "-" and table.count(" | - | ") == 1 + len(names)


def test_the_page_is_written_as_json_table_and_picture(scenes, audited, split, tmp_path):
    index, report = audited
    other = make_split(index.classes, {"seed": 3, "ratio": (1, 1)})
    write_audit_page(report, index, {"split1": split, "split2": other}, scenes.data, tmp_path / "audit.json")
    facts = json.loads((tmp_path / "audit.json").read_text())
    table = (tmp_path / "audit.md").read_text()
    assert facts["subsets"]["train"]["images"] == 24
    assert "| split1 | 12 : 4 |" in table and "| split2 | 8 : 8 |" in table
    assert all(f"| {k} | {name} |" in table for k, name in enumerate(index.classes))
    picture = np.array(Image.open(tmp_path / "audit.png").convert("RGB"))
    assert picture.shape[1] == 1430 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000
