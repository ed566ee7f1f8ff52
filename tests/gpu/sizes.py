"""How large everything is that the acceptance runs: as in the paper, or so small that a CPU does it in a minute."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True)
class Sizes:
    """Sizes of one run of the acceptance.

    Attributes:
        name: 'paper' or 'tiny'.
        cases: names of the cases of `tests.workloads`, the most important one first.
        images: images of a step.
        steps: timed steps of each measurement; the median is told.
        warmup: steps before them.
        memory: bytes that the largest batch may take on the card.
        backbone: of the baselines' networks.
        photographs: JPEG files of the synthetic dataset, (height, width) of each in `photograph`.
        workers: numbers of loading processes that are compared.
        resume: settings of the trainings that are killed and go on, with dotted keys; otherwise they are the demo's.
        demo: changes of the demo: `source` of its scenes, `settings` with dotted keys; empty for the demo itself.
    """

    name: str
    cases: tuple[str, ...]
    images: int
    steps: int
    warmup: int
    memory: int
    backbone: str
    photographs: int
    photograph: tuple[int, int]
    workers: tuple[int, ...]
    resume: dict
    demo: dict


PAPER = Sizes(
    name="paper",
    cases=("coco", "ade"),
    images=8,
    steps=24,
    warmup=4,
    memory=24 * GIB,
    backbone="resnet50",
    photographs=64,
    photograph=(480, 640),
    workers=(0, 2, 4, 8, 16),
    resume={"optim.steps": 40},
    demo={},
)
TINY = Sizes(
    name="tiny",
    cases=("tiny",),
    images=4,
    steps=2,
    warmup=1,
    memory=24 * GIB,
    backbone="tiny",
    photographs=6,
    photograph=(96, 128),
    workers=(0, 1),
    resume={"optim.steps": 8, "optim.batch_images": 4, "augment.crop": 48, "augment.short_edges": [48]},
    demo={"source": {"train": 24, "test": 8}, "settings": {"optim.steps": 3}},
)
SIZES = {sizes.name: sizes for sizes in (PAPER, TINY)}
