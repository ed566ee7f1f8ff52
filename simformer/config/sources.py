"""Where a dataset comes from: its published archives, what kind of files they hold, and how many images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, StringConstraints, model_validator

from simformer.config.fields import DISTINCT, MAX_SIDE, Count, Settings, Share, Text
from simformer.config.layers import parse
from simformer.errors import UserError

Checksum = Annotated[str, StringConstraints(pattern=r"^(md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64})$")]


class Archive(Settings):
    """A published file: downloaded from one of its addresses, or brought along."""

    urls: Annotated[tuple[Text, ...], DISTINCT] = Field((), description="Addresses, tried in this order.")
    bytes: Count | None = Field(None, description="Published size. It is checked.")
    gigabytes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Approximate size if the exact one is not published. The plan shows it; it is not checked."
    )
    checksum: Checksum | None = Field(
        None,
        description="Published checksum, e.g. `sha1:219e...`. It is checked. If there is none, the sha256 of the first "
        "download is stored beside the file, and later downloads must agree with it.",
    )
    path: Text | None = Field(
        None,
        description="Your own copy, used instead of a download: the archive, or a folder with its content. `~` and "
        "environment variables are expanded.",
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Archive:
        if not self.urls and self.path is None:
            raise ValueError("neither `urls` nor `path`; give your own copy, e.g. {path: /data/images.zip}")
        return self

    @property
    def size(self) -> int | None:
        """Bytes, about; None if nothing is known."""
        return self.bytes or (round(1e9 * self.gigabytes) if self.gigabytes else None)


class SceneSettings(Settings):
    """The embedded demo: synthetic scenes made from a seed (docs/demo.md)."""

    size: Annotated[int, Field(ge=32, le=MAX_SIDE)] = Field(96, description="Side of the square images, pixels.")
    train: Count = Field(1200, description="Number of training images.")
    test: Count = Field(200, description="Number of test images.")
    seed: Annotated[int, Field(ge=-(2**31), lt=2**31)] = Field(0, description="Seed of the generator.")
    difficulty: Share = Field(0.5, description="Noise, colour jitter and clutter: 0 easy, 1 hard.")
    clutter: Share = Field(
        1.0, description="Scales the clutter. With 1, it is about 2 to 20 % of a scene, up to 26 % at difficulty 1."
    )


class ScenesSource(SceneSettings):
    """Synthetic scenes, generated from a seed."""

    kind: Literal["scenes"] = "scenes"


class FolderSource(Settings):
    """A dataset in the folder layout of docs/custom_data.md, or a tar or zip of one."""

    kind: Literal["folder"] = "folder"
    path: Text = Field(description="Directory or archive; '~' and environment variables are expanded.")


class CocoStuff10kSource(Settings):
    """COCO-Stuff-10K as published: images, .mat annotations (v1.0 or v1.1, told from the files) and image lists."""

    kind: Literal["coco_stuff_10k"] = "coco_stuff_10k"
    archive: Archive = Field(description="cocostuff-10k-v1.0.zip or cocostuff-10k-v1.1.zip.")


class CocoStuffMapsSource(Settings):
    """COCO-Stuff from the PNG label maps of the 164k release (`stuffthingmaps`)."""

    kind: Literal["coco_stuff_maps"] = "coco_stuff_maps"
    labels: Archive = Field(description="stuffthingmaps_trainval2017.zip, or a folder of its PNGs.")
    images: tuple[Archive, ...] = Field(
        min_length=1, description="COCO photographs (train2017.zip, train2014.zip, ...), or folders of them."
    )
    subset: Literal["10k", "164k"] = Field(
        "10k", description="10k: the 9000/1000 images of COCO-Stuff-10K; 164k: train2017/val2017."
    )


class CocoJsonSource(Settings):
    """COCO-Stuff from COCO's annotation files: polygons and RLE of things and stuff, drawn into label maps."""

    kind: Literal["coco_json"] = "coco_json"
    annotations: tuple[Archive, ...] = Field(
        min_length=1, description="Archives, folders or files with `instances_*.json` and `stuff_*.json`."
    )
    images: tuple[Archive, ...] = Field(min_length=1, description="COCO photographs, or folders of them.")
    subset: Literal["10k", "164k"] = Field("10k", description="As for `coco_stuff_maps`.")


class Ade20kSource(Settings):
    """ADE20K as published for the SceneParse150 benchmark (ADEChallengeData2016)."""

    kind: Literal["ade20k"] = "ade20k"
    archive: Archive = Field(description="ADEChallengeData2016.zip.")


class ClassCounts(RootModel[dict[str, Count]]):
    """Number of classes by dataset."""


class Expected(Settings):
    """Published counts of a dataset; the audit insists on those that are given."""

    train: Count | None = Field(
        None, description="Number of training images, including those without a labelled pixel."
    )
    test: Count | None = Field(None, description="Number of test images, counted in the same way.")
    classes: Count | None = Field(None, description="Number of classes, K.")


Source = Annotated[
    ScenesSource | FolderSource | CocoStuff10kSource | CocoStuffMapsSource | CocoJsonSource | Ade20kSource,
    Field(discriminator="kind"),
]


class _SourceOption(Settings):
    source: Source


def parse_source(content: Mapping[str, Any]) -> Source:
    """Validate the source of a dataset given on the command line."""
    return parse(_SourceOption, {"source": content}, "--source").source


def archives(source: Source) -> dict[str, Archive]:
    """Return the archives behind a source by name: the field, numbered from 1 where it holds several."""
    found: dict[str, Archive] = {}
    for field in type(source).model_fields:
        value = getattr(source, field)
        if isinstance(value, Archive):
            found[field] = value
        elif isinstance(value, tuple):
            found |= {f"{field}{number}": item for number, item in enumerate(value, 1) if isinstance(item, Archive)}
    return found


def parse_archives(options: Sequence[str], source: Source) -> dict[str, Path]:
    """Read where the downloaded archives of a source lie, each given as NAME=PATH on the command line.

    Raises: UserError if an option has another form, or names no archive of the source, or one for a second time.
    """
    found: dict[str, Path] = {}
    names = ", ".join(archives(source)) or "none"
    for option in options:
        name, _, path = option.partition("=")
        if not path:
            raise UserError(f"--archive {option}: expected NAME=PATH, with one of the source's archives: {names}")
        if name not in archives(source):
            raise UserError(f"--archive {option}: a source of kind '{source.kind}' has no '{name}'; it has {names}")
        if name in found:
            raise UserError(f"--archive {option}: '{name}' is given twice, first as {found[name]}")
        found[name] = Path(path)
    return found


def content_json(source: Source) -> str:
    """Return what decides a source's content: all of it but the addresses and rough sizes of its archives."""
    untold = {"urls", "gigabytes"}
    hidden: dict[str, set[str] | dict[int, set[str]]] = {}
    for field in type(source).model_fields:
        value = getattr(source, field)
        if isinstance(value, Archive):
            hidden[field] = untold
        elif isinstance(value, tuple):
            hidden[field] = {number: untold for number, item in enumerate(value) if isinstance(item, Archive)}
    return source.model_dump_json(exclude=hidden)
