"""True label maps, which hold the pixels of novel classes. There is no other way to read them.

The contract "Truth has a wall" in pyproject.toml lists who may import this module.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simformer.data.checked import read_audited
from simformer.data.images import decode_label
from simformer.data.index import ImageRecord


def read_truth(data: Path, record: ImageRecord) -> NDArray[np.uint8]:
    """Read the true label map of an image, uint8 [H, W].

    Args:
        data: folder of the prepared dataset.
        record: the image's entry in the audited index.
    Raises: UserError if the file is missing or is not the one that was audited.
    """
    return read_audited(data / record.label, record.label_sha256, decode_label)
