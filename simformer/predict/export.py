"""A trained network as a file for other programs: ONNX, or a program of torch.export; checked against PyTorch."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from simformer.atomic import atomic_write_bytes
from simformer.config.paths import pip_install
from simformer.errors import UserError, first_line, some
from simformer.inference import SIZE_DIVISOR, final_logits, fuse
from simformer.models.maskformer import MaskFormer
from simformer.models.model_file import PIXELS
from simformer.predict.segmenter import Segmenter

Format = Literal["onnx", "torch_export"]
Run = Callable[[NDArray[np.float32]], NDArray[Any]]
"""An exported network, from images to what it returns."""
NEEDS = ("onnx", "onnxscript", "onnxruntime")
"""Packages that write and run ONNX."""
INPUT, FACTS = "image", "simformer.json"
OUTPUTS = {False: "scores", True: "classes"}
"""Name of what an ONNX file returns, by `argmax`."""
SIDES = {0: "batch", 2: "rows", 3: "columns"}
"""Names of the sides of the input that may vary; rows and columns count in units of SIZE_DIVISOR."""
ENDINGS: dict[Format, str] = {"onnx": ".onnx", "torch_export": ".pt2"}
"""How files of a format are named; another format's ending is refused, any other one is the user's choice."""
LEAST, MOST = 2, 256
"""Sides of an image that the file takes, in units of SIZE_DIVISOR."""
CHECKED = ((1, 64, 64), (1, 160, 96), (2, 128, 224), (3, 96, 64))
"""Images with which a file for any size is compared with PyTorch: how many, height and width in pixels."""
COUNTS = (1, 2, 3)
"""How many images of its size a file for one size is compared with."""
TOLERANCE = 1e-3
"""Largest difference of a score that may be rounding; scores go up to the number of queries."""


@dataclass(frozen=True)
class Agreement:
    """How well an exported file agrees with PyTorch: largest difference of a score, share of pixels of equal class."""

    difference: float
    equal: float


class Exported(nn.Module):
    """What is exported: normalisation, network and fusion of its proposals (Sec. 3.2).

    Args:
        network: in eval mode.
        argmax: return the class of the highest score instead of the scores.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: MaskFormer, argmax: bool) -> None:
        super().__init__()
        self.network = network
        self.argmax = argmax
        self.register_buffer("mean", torch.tensor(PIXELS["mean"])[:, None, None])
        self.register_buffer("std", torch.tensor(PIXELS["std"])[:, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Map RGB in 0..255, float32 [B, 3, H, W], to scores, float32 [B, K, H, W], or class ids, uint8 [B, H, W]."""
        scores = fuse(*final_logits(self.network, (image - self.mean) / self.std))
        return scores.argmax(dim=1).to(torch.uint8) if self.argmax else scores


def export(
    segmenter: Segmenter, output: Path, form: Format, argmax: bool = False, size: tuple[int, int] | None = None
) -> Agreement:
    """Write a network with its classes, colours and sizes, for any number of images.

    Args:
        segmenter: the model, on the CPU.
        output: the file, written only if it agrees with PyTorch.
        form: 'onnx', or 'torch_export' for `torch.export.load`.
        argmax: whether the file returns class ids instead of scores.
        size: height and width of the images that the file takes, in pixels, multiples of SIZE_DIVISOR; default: all
            multiples.
    Raises: UserError if the file's ending is another format's, a package is missing, the network cannot be exported, or
        the file does not agree with PyTorch.
    """
    other = next((name for name, ending in ENDINGS.items() if name != form and output.suffix.lower() == ending), None)
    if other is not None:
        raise UserError(
            f"--output {output}: this ending is of --format {other}; name it {output.with_suffix(ENDINGS[form])}, or "
            f"take --format {other}"
        )
    backbone = segmenter.trained.config.settings.model.backbone
    if size is not None and any(side % SIZE_DIVISOR for side in size):
        larger = " ".join(str(-(-side // SIZE_DIVISOR) * SIZE_DIVISOR) for side in size)
        raise UserError(
            f"--image-size {size[0]} {size[1]}: a network takes images whose sides are multiples of {SIZE_DIVISOR}; "
            f"take --image-size {larger} and pad images to it"
        )
    if size is None and any(getattr(module, "window_size", None) for module in segmenter.trained.model.modules()):
        raise UserError(
            f"a network with the backbone '{backbone}' can be exported for one image size only: it cuts images into "
            "windows, and PyTorch does not finish its export for any size; add e.g. --image-size 512 512"
        )
    if form == "onnx" and (missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]):
        raise UserError(
            f"--format onnx needs packages that are not installed ({some(missing, 3)}); type: {pip_install('onnx')}, "
            "or take --format torch_export"
        )
    module = Exported(segmenter.trained.model, argmax).eval()
    axes = {0: Dim(SIDES[0], min=1, max=1024)}
    if size is None:
        axes |= {axis: SIZE_DIVISOR * Dim(SIDES[axis], min=LEAST, max=MOST) for axis in (2, 3)}
    checked = CHECKED if size is None else [(count, *size) for count in COUNTS]
    facts = json.dumps(_facts(segmenter, argmax, size))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        example = (torch.zeros(2, 3, *(size or (SIZE_DIVISOR * LEAST, SIZE_DIVISOR * (LEAST + 1)))),)
        try:
            program = torch.export.export(module, example, dynamic_shapes=(axes,))
            if form == "onnx":
                content, run = _onnx(program, example, facts, OUTPUTS[argmax])
            else:
                content, run = _torch_export(program, facts)
            found = compare(segmenter, argmax, run, checked)
        except MemoryError:
            raise
        except Exception as error:  # each exporter, and each operation that it does not know, refuses in its own way
            images = "any size" if size is None else f"{size[0]} x {size[1]} pixels"
            another = f"--format {'torch_export' if form == 'onnx' else 'onnx'}"
            raise UserError(
                f"--format {form}: a network with the backbone '{backbone}' cannot be exported for images of {images} "
                f"({first_line(error)}); try {another}{', or --image-size 512 512' if size is None else ''}, or use "
                "`simformer predict`"
            ) from error
    if found.difference > TOLERANCE or found.equal < 1:
        raise UserError(
            f"{output}: not written, since the exported network does not agree with PyTorch: scores differ by up to "
            f"{found.difference:.1e}, classes agree at {100 * found.equal:.2f} % of the pixels; please report "
            "this, with the versions of torch and onnxruntime"
        )
    atomic_write_bytes(output, content)
    return found


def compare(
    segmenter: Segmenter, argmax: bool, run: Run, checked: Iterable[tuple[int, int, int]] = CHECKED
) -> Agreement:
    """Compare an exported network with PyTorch on random images.

    Where the two best classes are nearer to each other than rounding, either may win.

    Args:
        segmenter: the model.
        argmax: whether `run` returns class ids.
        run: the exported network.
        checked: of each comparison the number of images, their height and width in pixels.
    """
    rng, difference, equal, pixels = np.random.default_rng(0), 0.0, 0, 0
    for count, height, width in checked:
        image = rng.uniform(0, 255, (count, 3, height, width)).astype(np.float32)
        scores = Exported(segmenter.trained.model, argmax=False)(torch.from_numpy(image)).numpy()
        found = run(image)
        if not argmax:
            difference = max(difference, float(np.abs(found - scores).max()))
            found = found.argmax(axis=1)
        taken = np.take_along_axis(scores, found[:, None].astype(np.int64), axis=1)[:, 0]
        equal += int((taken >= scores.max(axis=1) - TOLERANCE).sum())
        pixels += found.size
    return Agreement(difference, equal / pixels)


def _onnx(program: ExportedProgram, example: tuple[Tensor], facts: str, output: str) -> tuple[bytes, Run]:
    """Return the bytes of an ONNX file, and how onnxruntime runs it."""
    import onnxruntime

    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    made = torch.onnx.export(program, example, dynamo=True, verbose=False, input_names=[INPUT], output_names=[output])
    assert made is not None, "an export with `dynamo` returns a program"
    _name_sides(made.model.graph)
    made.model.metadata_props["simformer"] = facts
    with tempfile.TemporaryDirectory() as folder:
        made.save(Path(folder, "model.onnx"))
        content = Path(folder, "model.onnx").read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda image: session.run(None, {INPUT: image})[0]


def _name_sides(graph: Any) -> None:
    """Give the sides of all tensors their names of SIDES, where PyTorch has written symbols such as `32*s30`."""
    (image,) = graph.inputs
    names = {symbol: name for axis, name in SIDES.items() for symbol in re.findall(r"\bs\d+\b", str(image.shape[axis]))}
    for value in (image, *(made for node in graph for made in node.outputs)):
        for axis, side in enumerate(value.shape or ()):
            for symbol, name in names.items():
                side = re.sub(rf"\b{symbol}\b", name, str(side)) if symbol in str(side) else side
            value.shape[axis] = side


def _torch_export(program: ExportedProgram, facts: str) -> tuple[bytes, Run]:
    """Return the bytes of a file for `torch.export.load`, and how PyTorch runs it."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={FACTS: facts})
    buffer.seek(0)
    module = torch.export.load(buffer).module()
    return buffer.getvalue(), lambda image: module(torch.from_numpy(image)).numpy()


def _facts(segmenter: Segmenter, argmax: bool, size: tuple[int, int] | None) -> dict[str, Any]:
    """Return what the file says of itself, for JSON: classes, sizes, what goes in and what comes out."""
    return {
        "classes": [vars(c) for c in segmenter.classes],
        "training": segmenter.training,
        "inference": {name: getattr(segmenter.inference, name) for name in ("short_edge", "max_long_edge")},
        "input": {
            "range": PIXELS["range"],
            "channels": PIXELS["channels"],
            **({"multiple": SIZE_DIVISOR} if size is None else {"height": size[0], "width": size[1]}),
            "pad": PIXELS["mean"],
        },
        "output": "class ids, uint8 [B, H, W]" if argmax else "scores, float32 [B, K, H, W]",
    }
