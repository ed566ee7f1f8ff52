"""Cost of RIB's fine-tuning: images side by side against one by one, and operations of the tiers.

    python tests/benchmarks/rib.py NETWORK DATA LABELS    # a trained classifier, its dataset's folder, labels.json
    python tests/benchmarks/rib.py                        # operations alone: ResNet-50, 640 x 480, 171 classes

Prints seconds per image of the fast tier for 1, 4 and 16 images at once, in one run, and peak memory; then operations
per image, counted on tensors without content. Nothing here is a test.
"""

import resource
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from simformer.baselines.classifier import Classifier
from simformer.baselines.rib.settings import RibSettings
from simformer.baselines.rib.tuned_maps import load_tuner
from simformer.baselines.rib.tuning import Plan, cut
from simformer.baselines.settings import CamSettings
from simformer.data.labels import LabelSet

HEIGHT, WIDTH, CLASSES, CROP = 480, 640, 171, 512
SCALES = (1.0, 0.5, 1.5, 2.0)
TIERS = {"exact": 20, "middle": 8, "fast": 6}
"""Other images of each tier (spec of the source: 20, 8, 6)."""


def side_by_side(network: Path, data: Path, labels: Path, images: int = 32, pool: int = 64) -> None:
    """Print seconds per image for numbers of images at once; all run twice, the first run warms up."""
    label_set, cpu = LabelSet.load(labels), torch.device("cpu")
    size = (label_set.images[0].height, label_set.images[0].width)
    alike = [image for image in label_set.images if (image.height, image.width) == size][:images]
    seconds = {}
    for count in (1, 4, 16):
        settings = RibSettings(pool=pool, images_at_once=count)
        tuner, _ = load_tuner(network, data, label_set, settings, CamSettings(), cpu)
        for _ in range(2):
            started = time.process_time()
            for first in range(0, len(alike), count):
                tuner.trajectories(data, alike[first : first + count], len(label_set.classes))
            seconds[count] = (time.process_time() - started) / len(alike)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count:3} at once: {seconds[count]:.3f} CPU seconds per image, {seconds[1] / seconds[count]:.2f} times "
            f"as fast as one by one; peak so far {peak:.0f} MiB"
        )


def operations(tier: str) -> float:
    """TFLOP of one image (two per multiplication and addition), forward and backward."""
    with torch.device("meta"):
        network = Classifier("resnet50", 16, CLASSES)
        constant, tuned = cut(network, 3 if tier == "fast" else 2)
        settings = RibSettings(tier=tier, other_images=TIERS[tier])
        plan = Plan.of(settings, SCALES)
        constant.requires_grad_(False)
        with FlopCounterMode(display=False) as counter:
            views = []
            for scale in SCALES:  # constant features of the image itself are kept
                views.append(constant(torch.empty(2, 3, round(HEIGHT * scale), round(WIDTH * scale))))
        total = counter.get_total_flops()
        crops = torch.empty(settings.other_images, 3, CROP, CROP)
        pool = None if tier == "exact" else constant(crops)  # made once per shard, so no cost of one image
        for k in range(settings.iterations):
            with FlopCounterMode(display=False) as counter:
                training = k < settings.iterations - 1
                for s, features in enumerate(views):
                    if training and s in plan.loss:
                        tuned(features).sum().backward()
                    elif k in plan.evaluated[s]:
                        with torch.no_grad():
                            tuned(features)
                if training:
                    tuned(constant(crops) if pool is None else pool).sum().backward()
            total += counter.get_total_flops()
    return total / 1e12


def main() -> None:
    """Print both parts."""
    torch.set_num_threads(1)
    if len(sys.argv) == 4:
        side_by_side(*map(Path, sys.argv[1:]))
    for tier, others in TIERS.items():
        print(f"{tier:7} B = {others:2}: {operations(tier):5.1f} TFLOP per image of {WIDTH} x {HEIGHT}, ResNet-50")


if __name__ == "__main__":
    main()
