"""What follows a training: class maps, walks, evaluation, pseudo-labels, on photographs of the paper's sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from simformer.baselines.class_maps.cam import GRID_STRIDE, inference_size, summed_maps
from simformer.baselines.class_maps.class_maps import ClassMaps
from simformer.baselines.classifier import Classifier
from simformer.baselines.dataset_settings import BaselineSettings
from simformer.baselines.expansion.psa_irn import GRID_STRIDES, walk_start, walked_maps
from simformer.baselines.expansion.stencil import half_disc
from simformer.config.settings import InferenceSettings
from simformer.data.checked import read_label_map, read_photograph
from simformer.data.truth import read_truth
from simformer.inference import ImageFile, predict
from simformer.metrics import confusion_matrix
from simformer.models.maskformer import MaskFormer
from simformer.pseudo_labels import mix
from tests.gpu.photographs import Photographs
from tests.gpu.report import ROOT
from tests.workloads import Case

DATASETS = {"coco": "coco_stuff_10k", "ade": "ade20k", "tiny": "scenes"}
"""Files of config/datasets that say how the images of each case are augmented and inferred."""


def dataset_file(case: Case) -> dict:
    """Return the content of a case's dataset file."""
    return yaml.safe_load(Path(ROOT, "config/datasets", f"{DATASETS[case.name]}.yaml").read_text())


def inference_settings(case: Case, images: int) -> InferenceSettings:
    """Return the case's test-time sizes, with so many images at once."""
    return InferenceSettings(**dataset_file(case)["inference"] | {"batch_images": images})


def stages(
    photographs: Photographs, case: Case, backbone: str, images: int, device: str
) -> dict[str, tuple[int, Callable[[], Callable[[], object]]]]:
    """Return, by name, the images of each stage's step and what builds it.

    Args:
        photographs: what is inferred.
        case: classes, and sizes of MaskFormer.
        backbone: of the classifier behind the class maps.
        images: inferred together.
        device: of the networks.
    """
    card, known = torch.device(device), BaselineSettings()
    tags = photographs.tags.images
    images = min(images, len(tags))
    at_once = min(known.cam.batch_images, len(tags))

    def cam() -> Callable[[], object]:
        network = Classifier(backbone, known.classifier.stride, case.classes).eval().to(card)
        pixels = [read_photograph(photographs.data, image) for image in tags[:at_once]]
        present = torch.zeros(at_once, case.classes, dtype=torch.bool)
        for row, image in zip(present, tags[:at_once], strict=True):
            row[list(image.classes)] = True

        @torch.inference_mode()
        def step() -> torch.Tensor:
            return summed_maps(lambda x, _: network(x), pixels, present, known.cam.scales, card).cpu()

        return step

    def walk(kind: str) -> Callable[[], object]:
        settings = known.psa_walk if kind == "psa" else known.irn_walk
        size = inference_size(tags[0].height, tags[0].width, known.cam)
        generator = torch.Generator().manual_seed(0)
        fine = tuple(-(-side // GRID_STRIDE) for side in size)
        scores = torch.rand(len(tags[0].classes), *fine, generator=generator)
        maps = ClassMaps(tags[0].classes, scores, GRID_STRIDE, size)
        grid = tuple(-(-side // GRID_STRIDES[kind]) for side in size)
        affinity = torch.rand(len(half_disc(settings.radius)), *grid, generator=generator).to(card)

        @torch.inference_mode()
        def step() -> ClassMaps:
            return walked_maps(kind, maps, walk_start(kind, maps, settings.power).to(card), affinity, settings)

        return step

    def segmentation_network() -> MaskFormer:
        torch.manual_seed(0)
        return MaskFormer(case.classes, case.settings("maskformer").model).eval().to(card)

    def evaluation() -> Callable[[], object]:
        model, settings = segmentation_network(), inference_settings(case, images)
        records = [photographs.index.train[number] for number in range(images)]
        files = [ImageFile.of(photographs.data, record) for record in records]

        def step() -> object:
            found = predict(model, files, settings, card)
            return [confusion_matrix(p, read_truth(photographs.data, records[i]), case.classes) for i, p in found]

        return step

    def pseudo_labels() -> Callable[[], object]:
        model, settings = segmentation_network(), inference_settings(case, images)
        weak = photographs.weak
        files = [ImageFile.of(photographs.data, image) for image in weak.images[:images]]

        def step() -> object:
            found = predict(model, files, settings, card, average_short_edges=settings.pseudo_short_edges)
            mine = ((weak.images[i], predicted) for i, predicted in found)
            return [mix(predicted, read_label_map(weak, image), weak.novel_labels(image)) for image, predicted in mine]

        return step

    return {
        "evaluation": (images, evaluation),
        "pseudo-labels": (images, pseudo_labels),
        "class maps (CAM)": (at_once, cam),
        "walk (PSA)": (1, lambda: walk("psa")),
        "walk (IRN)": (1, lambda: walk("irn")),
    }
