"""Keeps small decoded pictures in memory: a training on a small dataset decodes each file once, not every epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**17
"""Bytes of the largest picture that is kept, decoded: a photograph of 209 x 209 pixels."""
BUDGET = 2**26
"""Bytes that a process keeps in all. When they are taken, no further picture is kept, and none is given up: as every
epoch reads each picture once, giving up the oldest would mean that none is there when it is wanted."""


class KeptPictures:
    """Decoded pictures by a number that stands for a file and its state."""

    def __init__(self) -> None:
        self._pictures: dict[int, NDArray[np.uint8]] = {}
        self._free = BUDGET

    def find(self, key: int) -> NDArray[np.uint8] | None:
        """Return a copy of the picture, which the caller may change; None if it is not kept."""
        kept = self._pictures.get(key)
        return None if kept is None else kept.copy()

    def keep(self, key: int, picture: NDArray[np.uint8]) -> None:
        """Keep a copy of a picture, if it is small and there is room."""
        if picture.nbytes <= min(LARGEST, self._free) and key not in self._pictures:
            self._pictures[key] = picture.copy()
            self._free -= picture.nbytes
