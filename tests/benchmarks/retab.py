"""Cost of RETAB's labels per image at 640 x 480 with ten present classes of which three are novel, on one thread.

    python tests/benchmarks/retab.py              # ResNet-50; or another backbone as argument

Prints the CPU seconds of every stage after the class maps, which all baselines share; nothing here is a test.
"""

import sys
import time
from collections.abc import Callable

import torch

from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.expansion.affinity import feature_affinity
from simformer.baselines.expansion.affinity_network import AffinityNetwork
from simformer.baselines.expansion.psa_irn import padded_input
from simformer.baselines.expansion.stencil import half_disc
from simformer.baselines.retab.edge_network import EdgeNetwork
from simformer.baselines.retab.propagation import STRIDE, start, two_stages
from simformer.baselines.retab.settings import TwoStageSettings
from simformer.config.settings import IGNORE
from simformer.data.derived_labels import mix_scores

HEIGHT, WIDTH, CLASSES, NOVEL = 480, 640, 10, 3


def median(run: Callable[[], object], runs: int = 5) -> float:
    """Median CPU seconds of some runs."""
    times = []
    for _ in range(runs):
        started = time.process_time()
        run()
        times.append(time.process_time() - started)
    return sorted(times)[runs // 2]


@torch.inference_mode()
def main(backbone: str = "resnet50") -> None:
    """Print the CPU seconds of every stage."""
    torch.set_num_threads(1)
    settings = TwoStageSettings(steps=256)
    image = torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8)
    maps = ClassMaps(tuple(range(CLASSES)), torch.rand(CLASSES, HEIGHT // 4, WIDTH // 4), 4, (HEIGHT, WIDTH))
    masked = torch.where(torch.rand(HEIGHT, WIDTH) < 0.3, IGNORE, 20).to(torch.uint8)
    edges, affinities = EdgeNetwork(backbone).eval(), AffinityNetwork(backbone).eval()
    pixels, grid = padded_input(image, STRIDE), (HEIGHT // STRIDE, WIDTH // STRIDE)
    features = affinities(pixels)
    affinity = feature_affinity(features, half_disc(settings.radius))[0]
    boundary, begun = torch.rand(grid) > 0.7, start(maps, grid, settings.background)
    walked = ClassMaps((*maps.classes, IGNORE), begun, STRIDE, (HEIGHT, WIDTH))

    stages = {
        "boundary network": lambda: edges(pixels),
        "affinity network": lambda: affinities(pixels),
        "affinities": lambda: feature_affinity(features, half_disc(settings.radius)),
        "walk in two stages": lambda: two_stages(begun, affinity, boundary, settings),
        "mixed labels": lambda: mix_scores(
            walked.select(range(NOVEL)).at_size(HEIGHT, WIDTH), list(range(NOVEL)), masked, 0.1, ()
        ),
    }
    seconds = {name: median(run) for name, run in stages.items()}
    for name, value in seconds.items():
        print(f"{name:20} {value:6.3f} s")
    print(f"{'together':20} {sum(seconds.values()):6.3f} s per image and core")


if __name__ == "__main__":
    main(*sys.argv[1:])
