"""Published datasets whose photographs, label maps, lists or MATLAB files are not what they should be."""

import io
import struct

import numpy as np
import pytest
import scipy.io
from PIL import Image

from simformer.cli import main
from tests.faults.harness import refused
from tests.faults.packing import arguments
from tests.published import (
    HEIGHT,
    WIDTH,
    coco_stuff_mat,
    mat_v5,
    mat_v73,
    png,
    rewrite_zip,
    write_ade20k,
    write_coco_stuff_10k,
)

ONES = np.ones((HEIGHT, WIDTH), np.uint8)


def picture(array, form, **options):
    """Return an array as the bytes of a picture file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


ADE = "ADEChallengeData2016"
PHOTOGRAPH = f"{ADE}/images/training/ADE_train_00000001.jpg"
LABEL = f"{ADE}/annotations/training/ADE_train_00000001.png"
TURNED = np.ones((WIDTH, HEIGHT), np.uint8)
ADE_FILES = {
    "label in colour": (LABEL, picture(np.stack([ONES] * 3, -1), "PNG"), "label map has mode 'RGB'"),
    "label with transparency": (LABEL, picture(np.stack([ONES] * 2, -1), "PNG"), "label map has mode 'LA'"),
    "label of 16 bits": (LABEL, picture(ONES.astype(np.uint16), "PNG"), "label map has mode 'I;16' with 16 bits"),
    "label of one bit": (LABEL, picture(ONES > 0, "PNG"), "label map has mode '1' with 1 bit per channel"),
    "label as JPEG": (LABEL, picture(ONES, "JPEG"), "label map is a JPEG file; expected PNG, which keeps ids exactly"),
    "label as GIF": (LABEL, picture(ONES, "GIF"), "label map is a GIF file; expected PNG"),
    "label of ids too large": (LABEL, png(ONES * 151), "label ids out of range: 151; expected 1..150, or 0 for"),
    "label with 255 for ignore": (LABEL, png(ONES * 255), "label ids out of range: 255; expected 1..150, or 0"),
    "label turned": (LABEL, png(TURNED), f"is {WIDTH}x{HEIGHT} (width x height, upright) but"),
    "label cut": (LABEL, png(ONES)[:60], "copy or download it again"),
    "label empty": (LABEL, b"", "empty (0 bytes), not an image"),
    "label is a page": (LABEL, b"<html>404</html>", "a web page or XML text instead of an image"),
    "label is missing": (LABEL, None, "training image ADE_train_00000001: no label; expected"),
    "photograph is missing": (PHOTOGRAPH, None, "training image ADE_train_00000001: no photograph; expected"),
    "photograph is a page": (PHOTOGRAPH, b"<html>404</html>", "a web page or XML text instead of an image"),
    "photograph empty": (PHOTOGRAPH, b"", "empty (0 bytes), not an image"),
    "photograph cut": (PHOTOGRAPH, picture(ONES, "JPEG")[:300], "copy or download it again"),
    "photograph of zeros": (PHOTOGRAPH, bytes(3000), "not an image, or its header is corrupt"),
    "photograph turned": (PHOTOGRAPH, picture(TURNED, "JPEG"), f"is {HEIGHT}x{WIDTH} (width x height, upright) but"),
}  # fmt: skip


@pytest.mark.parametrize("name", ADE_FILES)
def test_a_wrong_file_of_ade20k_is_named(name, tmp_path, capsys):
    member, content, reason = ADE_FILES[name]
    write_ade20k(tmp_path / "ade.zip", train=2, test=1)
    rewrite_zip(tmp_path / "ade.zip", {member: content})
    refused(arguments(tmp_path / "ade.zip", "ade20k"), tmp_path, capsys, "1 problem found", reason)


def test_a_photograph_of_another_format_under_the_name_of_a_jpeg_is_read(tmp_path):
    """Viewers show it, and so does every reader here: by its content, without a loss."""
    write_ade20k(tmp_path / "ade.zip", train=2, test=1)
    rewrite_zip(tmp_path / "ade.zip", {PHOTOGRAPH: picture(ONES * 7, "PNG")})
    assert main(arguments(tmp_path / "ade.zip", "ade20k")) == 0
    with Image.open(tmp_path / "out/images/ADE_train_00000001.jpg") as image:
        assert image.format == "PNG" and (np.array(image) == 7).all()


def savemat(**variables):
    """Return a MATLAB 5 file of some variables."""
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables)
    return buffer.getvalue()


def twice(data):
    """Return a MATLAB 5 file with its first variable twice."""
    size = struct.unpack("<I", data[132:136])[0] + 8
    return data[: 128 + size] + data[128:]


NAMES = np.array([f"class {i}" for i in range(182)], object)[:, None]
NAME = "COCO_train2014_000000000009"
MATS = {
    "empty": (b"", "no header of MATLAB 5"),
    "page": (b"<html>404</html>", "no header of MATLAB 5"),
    "zeros": (bytes(3000), "no header of MATLAB 5"),
    "picture": (png(ONES), "no header of MATLAB 5"),
    "header alone": (mat_v5(ONES)[:128], "no S and no names; it holds []"),
    "cut in an element": (mat_v5(ONES)[:300], "bytes, but "),
    "cut in what is packed": (mat_v5(ONES)[:129], "breaks off within an element"),
    "damaged": (mat_v5(ONES)[:150] + bytes(30) + mat_v5(ONES)[180:], "not a readable MATLAB file"),
    "a variable twice": (twice(savemat(S=ONES, names=NAMES)), "variable 'S' twice"),
    "other variables": (savemat(labels=ONES, classes=NAMES), "no S and no names; it holds ['classes', 'labels']"),
    "no names": (savemat(S=ONES), "no names; it holds ['S']"),
    "S in words": (savemat(S="text", names=NAMES), "`S` holds no real numbers"),
    "S of complex numbers": (savemat(S=ONES * 1j, names=NAMES), "`S` holds no real numbers"),
    "S in a cell": (savemat(S=NAMES, names=NAMES), "`S` holds no real numbers"),
    "S in three dimensions": (savemat(S=np.ones((4, 4, 3)), names=NAMES), "`S` is float64 [4, 4, 3]; expected a label"),
    "S empty": (savemat(S=np.ones((0, 4)), names=NAMES), "`S` is float64 [0, 4]; expected a label map"),
    "S of fractions": (savemat(S=ONES * 1.5, names=NAMES), "`S` has values from 1.5 to 1.5; expected whole numbers"),
    "S with NaN": (savemat(S=ONES * np.nan, names=NAMES), "`S` has values from nan to nan; expected whole numbers"),
    "S with negative values": (savemat(S=-ONES.astype(np.int16), names=NAMES), "`S` has values from -1 to -1"),
    "S with ids too large": (savemat(S=ONES * 183, names=NAMES), "label ids out of range: 183; expected 1..182"),
    "S turned": (savemat(S=TURNED, names=NAMES), f"but {{}} is {HEIGHT}x{WIDTH}; expected equal sizes"),
    "names of another dataset": (savemat(S=ONES, names=NAMES[:150]), "150 class names; expected 172 (release"),
    "HDF5 cut": (mat_v73(ONES)[:3000], "not a readable MATLAB file"),
    "HDF5 of other variables": (mat_v73(ONES).replace(b"names\0", b"nameX\0"), "not a readable MATLAB file"),
    "HDF5 in three dimensions": (mat_v73(np.ones((4, 4, 3), np.uint8)), "`S` is uint8 [4, 4, 3]; expected a label map"),
    "HDF5 with ids too large": (mat_v73(ONES * 173), "label ids out of range: 173; expected 2..172, or 1 for"),
}  # fmt: skip


@pytest.mark.parametrize("name", MATS)
def test_a_wrong_matlab_file_is_named(name, tmp_path, capsys):
    content, reason = MATS[name]
    path, member = tmp_path / "coco.zip", f"annotations/{NAME}.mat"
    write_coco_stuff_10k(path, train=2, test=1, version="1.1")
    rewrite_zip(path, {member: content})
    says = "1 problem found", f"{path}/{member}", reason.replace("{}", f"{path}/{member}")
    refused(arguments(path, "coco_stuff_10k"), tmp_path, capsys, *says)


LISTS = {
    "missing": (None, "missing imageLists/train.txt; COCO-Stuff-10K has"),
    "no text": (b"\xff\xfe\x00", "imageLists/train.txt: cannot be read"),
    "of other names": (b"COCO_train2014_000000000009.jpg\n", "image COCO_train2014_000000000009.jpg: no photograph"),
    "a name twice": (f"{NAME}\n{NAME}\n".encode(), f"imageLists/train.txt lists {NAME} twice"),
    "a test image": (f"{NAME}\nCOCO_train2014_000000000509\n".encode(), "COCO_train2014_000000000509 is in both lists"),
    "empty": (b"\n", "imageLists/train.txt: no names; expected one image name per line"),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_wrong_list_is_refused(name, tmp_path, capsys):
    content, reason = LISTS[name]
    write_coco_stuff_10k(tmp_path / "coco.zip", train=2, test=1)
    rewrite_zip(tmp_path / "coco.zip", {"imageLists/train.txt": content})
    given = arguments(tmp_path / "coco.zip", "coco_stuff_10k")
    if name == "of other names":  # neither photograph nor annotation
        assert main(given) == 1 and reason in capsys.readouterr().err
    else:
        refused(given, tmp_path, capsys, f"{tmp_path}/coco.zip", reason)


@pytest.mark.parametrize("size", [0, 1, 100, 1000])
def test_matlab_files_with_flipped_bits_never_end_the_process(size):
    """Some of these made scipy's reader crash; a thousand of them take a second."""
    from simformer.data.coco_stuff_10k import decode_mat
    from simformer.errors import UserError

    rng = np.random.default_rng(size)
    whole = np.frombuffer(coco_stuff_mat(np.zeros((4, 5), np.uint8), "1.1"), np.uint8)
    for _ in range(250):
        data = whole.copy()
        for place in rng.integers(size, len(whole), rng.integers(1, 6)) if size < len(whole) else ():
            data[place] = rng.integers(256)
        try:
            decode_mat(data.tobytes(), "a.mat")
        except UserError as error:
            assert "\n" not in str(error)
