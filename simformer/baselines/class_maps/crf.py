"""Dense CRF on a label map (Kraehenbuehl and Koltun 2011), with the constants of IRN; needs the extra 'crf'."""

from __future__ import annotations

import numpy as np

from simformer.errors import UserError

CONFIDENCE = 0.7
"""Probability of a pixel's own label in the unary term."""
SMOOTHNESS = {"sxy": 3, "compat": 3}
APPEARANCE = {"sxy": 50, "srgb": 5, "compat": 10}


def dense_crf(image: np.ndarray, labels: np.ndarray, count: int, iterations: int) -> np.ndarray:
    """Clean a label map along the edges of its image.

    Args:
        image: RGB, uint8 [H, W, 3].
        labels: ids below `count`, [H, W]; 'unsure' is one of them.
        count: number of ids.
        iterations: of mean-field inference; 10 in the reference.
    Returns: ids of the same kind, int64 [H, W].
    Raises: UserError if pydensecrf is not installed.
    """
    try:
        from pydensecrf.densecrf import DenseCRF2D
        from pydensecrf.utils import unary_from_labels
    except ImportError:
        raise UserError(
            "baselines.seeds.clean is 'crf', but pydensecrf is not installed; type  pip install pydensecrf2  "
            "(it needs a C++ compiler), or set it to 'pamr' or 'none'"
        ) from None
    if count < 2:
        return labels.astype(np.int64)
    height, width = labels.shape
    field = DenseCRF2D(width, height, count)
    field.setUnaryEnergy(np.ascontiguousarray(unary_from_labels(labels, count, CONFIDENCE, zero_unsure=False)))
    field.addPairwiseGaussian(**SMOOTHNESS)
    field.addPairwiseBilateral(rgbim=np.array(image, order="C"), **APPEARANCE)
    refined: np.ndarray = np.argmax(field.inference(iterations), axis=0)
    return refined.reshape(height, width)
