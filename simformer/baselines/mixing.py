"""Mixed labels, one rule for every baseline: base masks as given, the rest from scores of the present novel classes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from simformer.settings import IGNORE


def mix_scores(scores: Tensor, classes: list[int], masked: Tensor, novel: list[int], gamma: float) -> Tensor:
    """Fill the not-base region R of one image (Sec. 4.2, "mixed labels").

    Scores of the present novel classes are brought to the size of the label map and divided by their maximum over R.
    A pixel of R gets the class with the highest score if that is at least gamma. Base and absent classes never
    compete; base pixels are written last.

    Args:
        scores: >= 0, [P, h, w].
        classes: class id of each row.
        masked: base class ids, IGNORE elsewhere, uint8 [H, W].
        novel: ids of the novel classes among the image-level labels; each needs a row.
        gamma: constant score of 'none of them': 0 leaves no pixel of R out, above 1 leaves out all.
    Returns: uint8 [H, W].
    Raises: KeyError if a present novel class has no row.
    """
    region = masked == IGNORE
    if not novel or not region.any():
        return masked
    rows = dict(zip(classes, scores, strict=True))
    ids = sorted(novel)
    chosen = torch.stack([rows[c] for c in ids]).float()
    full = F.interpolate(chosen[None], size=masked.shape, mode="bilinear", align_corners=False)[0]
    highest = full[:, region].amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
    best, winner = (full / highest[:, None, None]).max(dim=0)
    filled = torch.tensor(ids, dtype=torch.uint8)[winner].masked_fill(best < gamma, IGNORE)
    return torch.where(region, filled, masked)
