"""Where every file of a study lies. The workflow and the commands read these paths and no others.

A path is a pattern: `{dataset}`, `{split}`, `{method}` and `{seed}` are wildcards, as Snakemake reads them.
"""

from __future__ import annotations

from dataclasses import dataclass

from simformer.study.catalogue import FULL_SPLIT


@dataclass(frozen=True)
class ResultFiles:
    """Paths below the two folders of a study.

    Attributes:
        results: folder of all results.
        prepared: folder of the prepared datasets.
    """

    results: str
    prepared: str

    def data(self, name: str) -> str:
        """A file of a prepared dataset."""
        return f"{self.prepared}/{{dataset}}/{name}"

    def archive(self) -> str:
        """A downloaded archive; its content tells the format."""
        return f"{self.prepared}/downloads/{{dataset}}/{{archive}}"

    def weights(self) -> str:
        """Initial backbone weights, outside the dataset's folder, which a user may delete."""
        return f"{self.prepared}/weights/{{dataset}}.{{backbone}}.safetensors"

    def table(self, name: str) -> str:
        """A table, or a file of the whole study."""
        return f"{self.results}/{name}"

    def site(self, name: str) -> str:
        """A file of the gallery site."""
        return self.table(f"gallery/{name}")

    def log(self, name: str) -> str:
        """The log of a job."""
        return self.table(f"logs/{name}.log")

    def dataset(self, name: str) -> str:
        """A result that belongs to a dataset."""
        return self.table(f"{{dataset}}/{name}")

    def split(self, name: str) -> str:
        """A file that belongs to a split."""
        return self.dataset(f"{{split}}/{name}")

    def run(self, name: str) -> str:
        """A file that belongs to one training."""
        return self.split(f"{{method}}/seed{{seed}}/{name}")

    def full(self, name: str) -> str:
        """A file of the split in which no class is novel."""
        return self.dataset(f"{FULL_SPLIT}/{name}")

    def maps(self, name: str, response: str = "{response}") -> str:
        """A file on the way to class maps: made from image-level labels alone, so it serves every split."""
        return self.full(f"maps/{response}/seed{{seed}}/{name}")

    def retab(self, name: str) -> str:
        """A file of RETAB, whose networks learn from the base masks of a split."""
        return self.split(f"retab/seed{{seed}}/{name}")

    def retab_control(self, name: str) -> str:
        """A file of a control of RETAB; its networks are trained for the checks alone."""
        return self.split(f"retab_controls/seed{{seed}}/{{control}}/{name}")
