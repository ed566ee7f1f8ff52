"""Class maps on disk: one file per image with the scores of its classes, and a manifest that names them all.

Files are made in any number of shards, by any number of jobs, and a job continues where an earlier one stopped. Files
are not written again while network and settings stay the same; their `identity` shows this.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from simformer.config.fields import Settings
from simformer.config.layers import RECIPE_VERSION
from simformer.data.identity import Identity, require_blind, require_split
from simformer.data.labels import LabelledImage, LabelSet
from simformer.data.sealed import read_sealed, write_sealed
from simformer.data.shards import WHOLE, Shard
from simformer.errors import MAKES_IT, UserError
from simformer.machine.terminal import counted

if TYPE_CHECKING:
    import torch

    from simformer.baselines.class_maps.class_maps import ClassMaps

# The maps themselves (torch) are imported where they are read and written: to join shards takes the manifests alone.

Compute = Callable[[list[LabelledImage]], "Iterator[tuple[LabelledImage, ClassMaps]]"]
"""Yields each of some images with its maps, in any order."""


@dataclass(frozen=True)
class MapSet:
    """The maps of a dataset's training images.

    Attributes:
        identity: hash of the network and the settings that made them.
        source: what they belong to: that of the labels of their images.
        checksums: image name -> sha256 of its scores.
        root: folder of the manifest; maps lie in `maps/` below it.
    """

    identity: str
    source: Identity
    checksums: dict[str, str]
    root: Path

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 of all scores."""
        return hashlib.sha256(json.dumps(self.checksums, sort_keys=True).encode()).hexdigest()[:16]

    def read(self, name: str) -> ClassMaps:
        """Return the maps of an image; raises UserError if there are none or they were changed."""
        if name not in self.checksums:
            raise UserError(f"{self.root / 'maps.json'}: no maps of image '{name}'; it belongs to another label set")
        from simformer.baselines.class_maps.class_maps import maps_path, read_maps

        stored = read_maps(self.root, name)
        if stored is None or stored[1] != self.checksums[name]:
            raise UserError(
                f"{maps_path(self.root, name)}: missing, or not the file that maps.json names; delete "
                f"{self.root / 'maps.json'} and run snakemake again"
            )
        return stored[2]

    def save(self, path: Path) -> None:
        """Write the manifest (or that of a shard), atomically, one image per line."""
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in self.checksums.items())
        head = json.dumps({"identity": self.identity} | self.source.content())
        write_sealed(path, f'{head[:-1]}, "images": {{\n{lines}\n}}}}\n')

    @classmethod
    def load(cls, path: Path) -> MapSet:
        """Read a manifest; raises UserError when it is missing, edited, of an older version, or none."""
        content = read_sealed(path, "manifest of maps")
        source = Identity.parse(content, path, MAKES_IT)
        try:
            return cls(content["identity"], source, dict(content["images"]), path.parent)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: not a manifest of maps ({error}); {MAKES_IT}") from None

    def require_blind(self, labels: LabelSet) -> None:
        """Raise UserError unless the maps may label the images of a label set.

        They are of the same dataset, and of nothing that saw masks of classes which the label set hides.
        """
        require_blind(self.source, labels.identity)


@dataclass(frozen=True)
class MapJob:
    """Maps of a shard of the training images that are to be made.

    Attributes:
        data: folder of the prepared dataset (images only are read from it).
        labels: all images, with their image-level labels.
        device: of the network.
        manifest: that of the shard; maps are written beside it.
        shard: which of the images.
    """

    data: Path
    labels: LabelSet
    device: torch.device
    manifest: Path
    shard: Shard = WHOLE

    def write(self, source: str, settings: Settings, compute: Compute) -> MapSet:
        """Make the maps of the shard, but for those that are there.

        Args:
            source: hash of what they are made from; with the settings all that decides them, apart from the images.
            settings: of their making.
            compute: called with the images that have no maps yet.
        Raises: UserError for scores that are not finite.
        """
        from simformer.baselines.class_maps.class_maps import read_maps, write_image

        made_from = f"{RECIPE_VERSION} {source} {settings.model_dump_json()}"
        identity = hashlib.sha256(made_from.encode()).hexdigest()[:16]
        images, root = self.labels.images, self.manifest.parent
        mine = [images[i] for i in self.shard.positions(len(images))]
        checksums: dict[str, str] = {}
        missing = []
        for image in mine:
            stored = read_maps(root, image.name)
            if stored is not None and stored[0] == (identity, image.image_sha256):
                checksums[image.name] = stored[1]
            else:
                missing.append(image)
        for image, maps in compute(missing):
            checksums[image.name] = write_image(root, image, identity, maps)
        return _saved(self.manifest, identity, self.labels, {image.name: checksums[image.name] for image in mine})

    def write_each(self, source: str, settings: Settings, make: Callable[[LabelledImage], ClassMaps]) -> MapSet:
        """Make the maps one image at a time."""
        return self.write(source, settings, lambda images: ((image, make(image)) for image in images))


def _saved(manifest: Path, identity: str, labels: LabelSet, checksums: dict[str, str]) -> MapSet:
    """Write a manifest of maps of the images of a label set."""
    maps = MapSet(identity, replace(labels.identity, where=str(manifest)), checksums, manifest.parent)
    maps.save(manifest)
    return maps


def gather_maps(manifests: Sequence[Path], labels: LabelSet, destination: Path) -> MapSet:
    """Join the manifests of all shards into one, which must name every image of a label set once.

    Raises: UserError if images are missing or shards were made with different networks or settings.
    """
    shards = [MapSet.load(path) for path in manifests]
    if len({shard.identity for shard in shards}) != 1:
        raise UserError(f"{destination}: shards were made with different settings; delete {manifests[0].parent}")
    found: dict[str, str] = {}
    for path, shard in zip(manifests, shards, strict=True):
        require_split(shard.source, labels.identity)
        if twice := found.keys() & shard.checksums.keys():
            raise UserError(f"{path}: image '{min(twice)}' is in another shard too; give every shard once")
        found |= shard.checksums
    names = [image.name for image in labels.images]
    if missing := [name for name in names if name not in found]:
        raise UserError(
            f"{destination}: no maps of {counted(len(missing), 'image')}, e.g. '{missing[0]}'; run its shard again"
        )
    return _saved(destination, shards[0].identity, labels, {name: found[name] for name in names})
