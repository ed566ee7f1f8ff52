"""The part of the gallery site that belongs to a dataset: test photographs, thumbnails, true label maps."""

from __future__ import annotations

from pathlib import Path

from simformer.analysis.site.assets import encode_jpeg, encode_thumbnail, write_label_script, write_script
from simformer.atomic import atomic_write_bytes
from simformer.data.checked import read_photograph
from simformer.data.index import DatasetIndex
from simformer.data.palette import class_colours
from simformer.data.truth import read_truth


def write_images(data: Path, index: DatasetIndex, output: Path) -> None:
    """Write the test images of a dataset for the site.

    Beside `output`: `photographs/<name>.jpg`, `thumbnails/<name>.jpg`, `truth/<name>.js`.

    Args:
        data: folder of the prepared dataset.
        index: its audited index.
        output: `images.js`: class names and colours, and [name, height, width, present classes] of every image.
    """
    colours = class_colours(len(index.classes))
    for record in index.test:
        image = read_photograph(data, record)
        atomic_write_bytes(output.parent / "photographs" / f"{record.name}.jpg", encode_jpeg(image), durable=False)
        atomic_write_bytes(output.parent / "thumbnails" / f"{record.name}.jpg", encode_thumbnail(image), durable=False)
        truth = read_truth(data, record)
        write_label_script(output.parent / "truth" / f"{record.name}.js", truth, colours)
    write_script(
        output,
        {
            "classes": index.classes,
            "colours": colours[: len(index.classes)].tolist(),
            "images": [[r.name, r.height, r.width, r.labels] for r in index.test],
        },
    )
