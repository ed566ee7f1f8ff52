"""Subcommands that use a trained model: predictions of photographs, export, scores of any model's predictions."""

from __future__ import annotations

import argparse
import sys

from simformer.commands import options
from simformer.commands.inputs import base_novel_split, dataset_index, new_file, take_device
from simformer.commands.options import DATA, DEVICE, MODEL, OUTPUT, RUN, SHARD, command, count, path, unread
from simformer.errors import UserError

# Heavy imports (torch) stay inside the commands, so that `--help` starts fast.


def predict(args: argparse.Namespace) -> None:
    """Predict the class of every pixel of photographs."""
    from simformer.predict.sources import find_sources

    sources, problems = find_sources(args.inputs, args.output, args.overlay)
    if not sources:
        raise UserError("\n".join(problems))
    from simformer.predict.folder import RECORDS, Wanted, predict_folder, refuse_output, tell
    from simformer.predict.segmenter import load

    refuse_output(args.output)
    if args.threads is not None:
        import torch

        torch.set_num_threads(args.threads)
    segmenter = load(args.model, take_device(args.device), split=args.split, **_sizes(args))
    if segmenter.trained.identity.hidden is None and args.split is None:
        print(f"{args.model}: does not say which classes are novel; to have it said, add --split", file=sys.stderr)
    for problem in problems:
        tell(problem)
    wanted = Wanted(tuple(args.format), args.overlay, args.classes, args.threshold, args.batch)
    unread = predict_folder(segmenter, sources, args.output, wanted)
    done = len(sources) - unread
    if done:
        print(f"{done} image{'s' * (done > 1)} predicted: {args.output / RECORDS}")
    if failed := len(problems) + unread:
        others = "The others were predicted." if done else "No photograph was predicted."
        raise UserError(f"{failed} input{'s' * (failed > 1)} could not be used (see above). {others}")


def export(args: argparse.Namespace) -> None:
    """Write a trained network for other programs, as ONNX or PyTorch.

    The written network is then compared with the trained one.
    """
    from simformer.predict.export import export as run
    from simformer.predict.segmenter import load

    segmenter = load(args.model, "cpu", split=args.split, **_sizes(args))
    found = run(segmenter, args.output, args.format, args.argmax, args.image_size and tuple(args.image_size))
    scores = "" if args.argmax else f"scores differ by at most {found.difference:.1e}, "
    print(f"{args.output}: agrees with PyTorch ({scores}classes agree at all pixels of random images)")


def score(args: argparse.Namespace) -> None:
    """Score predictions of any program as a trained model is scored.

    The predictions are PNG files of class ids, one for each test image.
    """
    from simformer.evaluate import score as run
    from simformer.metrics import save_metrics

    if (args.split is None) != (args.output is None) or (args.output is None and args.evaluation is None):
        raise UserError(
            "give --split and --output for the mean IoU of a split, --evaluation for the counts, or all three"
        )
    index = args.index or dataset_index(args.data / "index.json")
    evaluation = run(args.predictions, args.data, index, args.run_hash, args.shard)
    if args.evaluation is not None:
        evaluation.save(args.evaluation)
    if args.output is not None:
        found = save_metrics(evaluation, args.split, args.output)
        means = (f"{name} {'-' if found[name] is None else f'{found[name]:.1f}'}" for name in ("novel", "base", "all"))
        print(f"mean IoU, percent: {', '.join(means)} ({len(evaluation.images)} test images): {args.output}")


def _sizes(args: argparse.Namespace) -> dict[str, int | None]:
    """Return the test-time size that is given, as `load` takes it."""
    return {"short_edge": args.short_edge, "max_long_edge": args.max_long_edge}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add these subcommands to the parser."""
    sizes = [
        (
            f"--{edge}",
            {"type": count(16), "help": f"{what} at which images are predicted, pixels; default: the model's"},
        )
        for edge, what in (("short-edge", "shorter side"), ("max-long-edge", "upper bound of the longer side"))
    ]
    split = path("split", "split.yaml that says which classes are novel; default: the model says it", required=False)
    command(
        commands, predict,
        ("inputs", {"nargs": "+", "metavar": "INPUT",
                    "help": "photograph, folder, pattern, or a list of paths (.txt)"}),
        MODEL, path("output", "folder to write"),
        ("--format", {"nargs": "+", "choices": ("png", "coco"), "default": ["png"],
                      "help": "png: maps of class ids; coco: one coco.json with run lengths; default: png"}),
        ("--overlay", {"action": "store_true", "help": "also write the photographs with the classes in colours"}),
        ("--classes", {"nargs": "+", "metavar": "CLASS", "default": None,
                       "help": "classes to keep; pixels of all others become 255; default: all"}),
        ("--threshold", {"type": options.score, "default": 0.0,
                         "help": "score below which a pixel becomes 255; 0 or more"}),
        ("--batch", {"type": count(1, 4096), "default": 1,
                     "help": "number of images of one size that are predicted together"}),
        unread(DEVICE),
        ("--threads", {"type": count(1, 4096), "default": None, "help": "number of CPU threads; default: all cores"}),
        split, *sizes,
    )  # fmt: skip
    command(
        commands, export, MODEL, OUTPUT,
        ("--format", {"choices": ("onnx", "torch_export"), "required": True, "help": "format of the written file"}),
        ("--argmax", {"action": "store_true",
                      "help": "let the written network return class ids instead of scores"}),
        ("--image-size", {"nargs": 2, "type": count(32, 8192), "metavar": ("HEIGHT", "WIDTH"), "default": None,
                          "help": "size of the images that the network takes, pixels; default: any multiples of 32"}),
        split, *sizes,
    )  # fmt: skip
    command(
        commands, score,
        path("predictions", "folder with <name>.png for each test image, whose pixels are class ids"), DATA,
        path("index", "index.json of the audit; default: that in the folder of the dataset", required=False,
             read=dataset_index),
        RUN, SHARD,
        path("split", "split.yaml, together with --output; default: no split", required=False, read=base_novel_split),
        path("output", "metrics.json to write; default: none", required=False, read=new_file),
        path("evaluation", "file of counts to write (.npz), for `simformer metrics`; default: none", required=False,
             read=new_file),
    )  # fmt: skip
