"""Speed of preparing COCO-Stuff-10K: the engine with one and two processes against a plain loop that checks nothing.

    python tests/benchmarks/prepare.py           # 300 images of 640 x 480 with v1.0 annotations, five times over

Prints images per second, ratios, processor time and the size of label maps from one run; nothing here is a test.
Starting processes takes a second or more, which counts. On a machine that does other work, believe the processor time.
"""

import io
import resource
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from simformer.data.prepare import prepare

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.published import rewrite_zip, source, write_coco_stuff_10k


def plain_loop(archive: Path, folder: Path) -> None:
    """Copy photographs and convert annotations one after the other, with Pillow's usual PNGs."""
    with zipfile.ZipFile(archive) as pack:
        for name in pack.namelist():
            target = folder / Path(name).name
            if name.endswith(".jpg"):
                target.write_bytes(pack.read(name))
            elif name.endswith(".mat"):
                with h5py.File(io.BytesIO(pack.read(name)), "r") as file:
                    label = file["S"][()].T.astype(np.uint8) - 2
                Image.fromarray(label).save(target.with_suffix(".png"))


def processor_seconds() -> float:
    """Return the processor time that this process and its ended children have used."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def label_bytes(folder: Path) -> float:
    """Return the mean size of the PNGs below a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*.png")]
    return sum(sizes) / len(sizes)


def write_archive(path: Path, different: int, copies: int) -> int:
    """Write COCO-Stuff-10K with each image several times; returns the number of images."""
    names = list(write_coco_stuff_10k(path, train=different - 1, test=1, size=(480, 640)))
    with zipfile.ZipFile(path, "a") as pack:
        listed = pack.read("imageLists/train.txt").decode().split()
        for copy in range(1, copies):
            for name in names:
                listed.append(f"{name}_{copy}")
                for form in ("images/{}.jpg", "annotations/{}.mat"):
                    pack.writestr(form.format(listed[-1]), pack.read(form.format(name)))
    rewrite_zip(path, {"imageLists/train.txt": "\n".join(listed).encode()})
    return different * copies


def main(different: int = 300, copies: int = 5) -> None:
    """Print the comparison."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_archive(folder / "coco.zip", different, copies)
        dataset = source("coco_stuff_10k", archive=folder / "coco.zip")
        (folder / "plain").mkdir()
        runs = {
            "plain loop": (folder / "plain", lambda: plain_loop(folder / "coco.zip", folder / "plain")),
            "engine, 1 process": (folder / "one", lambda: prepare(dataset, {}, folder / "one", 1)),
            "engine, 2 processes": (folder / "two", lambda: prepare(dataset, {}, folder / "two", 2)),
        }
        plain = 0.0
        for title, (output, run) in runs.items():
            started, used = time.perf_counter(), processor_seconds()
            run()
            rate, used = images / (time.perf_counter() - started), processor_seconds() - used
            plain = plain or rate
            print(
                f"{title:20} {rate:7.1f} images/s  x {rate / plain:4.2f}  {1000 * used / images:6.2f} ms processor "
                f"time/image  {label_bytes(output):6.0f} bytes/label map"
            )


if __name__ == "__main__":
    main()
