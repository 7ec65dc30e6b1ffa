"""Feed damaged files to every reader: each is read or refused in a line or two, and nothing else.

    python -m scripts.fuzz_readers 4000 0

reads that many mutants from that seed in a process that may allocate 2 GB, and prints how many of
each format were read and refused. Any other exception, any file that is left behind and any
message of more than two lines is printed with its mutant, and the exit code is 1.
"""

import gzip
import io
import json
import resource
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import scipy.io
import tifffile
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    OphthalmicPhotography8BitImageStorage,
    generate_uid,
)

from sam2lora.adapters.archive import import_adapter
from sam2lora.adapters.folder import CARD, CONFIG, FILES, WEIGHTS, open_adapter
from sam2lora.adapters.store import adapters_folder, shipped_folder
from sam2lora.annotations import save_label_map
from sam2lora.datasets import read_dataset
from sam2lora.datasets.label_maps import legend_path
from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.errors import Sam2LoraError
from sam2lora.images.decoding import read_shape
from sam2lora.images.reading import read_image

SHAPE = (24, 32)
LIMIT = 2_000_000_000
"""Bytes that the process may allocate."""

_MAX_LINES = 2
_HEADER = 400  # bytes at the start of a file that are damaged more often
_LIES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\1\0")

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Seed:
    """An intact file of one format, and how it is read.

    Attributes
    ----------
    kind
        Format, for the table.
    name
        Name of the file that is damaged.
    files
        Content by name: that file, and others it needs.
    read
        Reads it; takes the folder of the files.
    """

    kind: str
    name: str
    files: Files
    read: Callable[[Path], object]


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file: cut it, flip bits, change its header, or lie about a size in it."""
    data = bytearray(content)
    near = min(len(data), _HEADER if rng.random() < 0.7 else len(data))
    how = rng.choice(["truncate", "flip", "header", "lie", "repeat"])
    if how == "truncate":
        return bytes(data[: int(rng.integers(len(data)))])
    if how == "flip":
        for at in rng.integers(near, size=int(rng.integers(1, 9))):
            data[at] ^= 1 << int(rng.integers(8))
    elif how == "header":
        for at in rng.integers(near, size=int(rng.integers(1, 5))):
            data[at] = int(rng.choice([0, 1, 127, 128, 255]))
    elif how == "lie":
        at = int(rng.integers(near))
        data[at : at + 4] = _LIES[int(rng.integers(len(_LIES)))]
    else:
        start, end = sorted(int(at) for at in rng.integers(len(data), size=2))
        data[start:start] = data[start:end] * int(rng.integers(1, 4))
    return bytes(data)


def make_seeds(folder: Path) -> list[Seed]:
    """Create an intact file of each format.

    Parameters
    ----------
    folder
        An empty folder, in which files are made that only a writer of files can make.
    """
    rgb = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
    mask = np.zeros(SHAPE, np.uint8)
    mask[8:16, 10:20] = 255
    return [
        *_image_seeds(folder, rgb),
        *_mask_seeds(folder, mask),
        *_dataset_seeds(rgb, mask),
        *_adapter_seeds(),
    ]


def run(count: int, seed: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Read `count` mutants.

    Returns
    -------
    How many of each format were read, were refused, or failed; and a description of each failure.
    """
    rng = np.random.default_rng(seed)
    outcomes: dict[str, Counter[str]] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        seeds = make_seeds(Path(name))
    # Each kind equally often, however many seeds it has.
    kinds = sorted({each.kind for each in seeds})
    for number in range(count):
        kind = kinds[number % len(kinds)]
        same = [each for each in seeds if each.kind == kind]
        chosen = same[int(rng.integers(len(same)))]
        mutant = mutate(chosen.files[chosen.name], rng)
        outcome, problem = _try(chosen, mutant)
        outcomes.setdefault(chosen.kind, Counter())[outcome] += 1
        if problem:
            failures.append(f"{number} {chosen.kind} {chosen.name}: {problem}")
    return outcomes, failures


def _try(seed: Seed, mutant: bytes) -> tuple[str, str]:
    """Read one mutant; return the outcome, and what is wrong with it or an empty text."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in {**seed.files, seed.name: mutant}.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        before = _listing(folder)
        installed = _listing(adapters_folder())
        try:
            seed.read(folder)
        except Sam2LoraError as error:
            lines = str(error).splitlines()
            if len(lines) > _MAX_LINES or "Traceback" in str(error):
                return "failed", f"a message of {len(lines)} lines: {error}"
            if _listing(adapters_folder()) != installed:
                return "failed", f"something was installed: {error}"
            outcome = "refused"
        except Exception as error:  # what the script is for
            return "failed", "".join(traceback.format_exception(error)[-4:])
        else:
            outcome = "read"
        if _listing(folder) != before:
            return "failed", f"files were left behind: {_listing(folder) - before}"
        return outcome, ""


def _listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _image_seeds(folder: Path, rgb: np.ndarray) -> list[Seed]:
    files: dict[str, bytes] = {}
    for suffix, options in (
        *(("png", {}), ("jpg", {}), ("gif", {}), ("bmp", {}), ("ppm", {}), ("jp2", {})),
        *(("avif", {}), ("webp", {"lossless": True})),
    ):
        files[f"a.{suffix}"] = _saved(Image.fromarray(rgb), suffix, **options)
    files["a.ppm.gz"] = gzip.compress(files["a.ppm"])
    files["alpha.png"] = _saved(Image.fromarray(np.dstack([rgb, rgb[..., 0]])), "png")
    files["16.png"] = imagecodecs.png_encode(rgb.astype(np.uint16) * 200)
    files["cmyk.tif"] = _saved(Image.fromarray(rgb).convert("CMYK"), "tiff")
    ycbcr = Image.fromarray(rgb).convert("YCbCr")
    files["ycbcr.tif"] = _saved(ycbcr, "tiff", compression="tiff_lzw")
    for name, values, options in (
        ("zlib", rgb, {"compression": "zlib", "photometric": "rgb"}),
        ("jpeg", rgb, {"compression": "jpeg", "photometric": "rgb"}),
        ("tiled", rgb, {"tile": (16, 16), "photometric": "rgb"}),
        ("imagej", rgb, {"imagej": True}),
        ("bool", rgb[..., 0] > 100, {}),
        ("float", rgb.astype(np.float32), {}),
    ):
        tifffile.imwrite(folder / "a.tif", values, **options)
        files[f"{name}.tif"] = (folder / "a.tif").read_bytes()
    files["a.dcm"] = _dicom(rgb)
    files["grey.dcm"] = _dicom(rgb[..., 0], RescaleSlope=2, RescaleIntercept=1)
    lossless = imagecodecs.jpeg8_encode(rgb, lossless=True)
    files["lossless.dcm"] = _dicom(rgb, syntax=JPEGLosslessSV1, frame=lossless)
    return [
        Seed(f"image {name.rpartition('.')[2]}", name, {name: content}, _read_image(name, reader))
        for name, content in files.items()
        for reader in (read_image, read_shape)
    ]


def _read_image(name: str, reader: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: reader(folder / name)


def _mask_seeds(folder: Path, mask: np.ndarray) -> list[Seed]:
    polygon = [[3.0, 3.0], [20.0, 4.0], [12.0, 18.0]]
    labelme = {
        "imageHeight": SHAPE[0],
        "imageWidth": SHAPE[1],
        "shapes": [{"label": "disc", "points": polygon}],
    }
    matlab = io.BytesIO()
    scipy.io.savemat(matlab, {"mask": (mask > 0).astype(np.uint8)}, do_compression=True)
    save_label_map(folder / "map.png", {"disc": mask > 0, "cup": np.roll(mask > 0, 1)})
    legend = legend_path(folder / "map.png")
    tifffile.imwrite(folder / "a.tif", mask > 0)
    singles = [
        ("mask tif", "half", "a.tif", (folder / "a.tif").read_bytes()),
        ("mask png", "half", "a.png", _saved(Image.fromarray(mask), "png")),
        ("mask gif", "half", "a.gif", _saved(Image.fromarray(mask), "gif")),
        ("mask labelme", "labelme-disc", "a.json", json.dumps(labelme).encode()),
        ("mask contour", "contour", "a.txt", b"\n".join(b"%g %g" % (x, y) for x, y in polygon)),
        ("mask matlab", "matlab-disc", "a.mat", matlab.getvalue()),
    ]
    pair = {"map.png": (folder / "map.png").read_bytes(), legend.name: legend.read_bytes()}
    return [
        *(
            Seed(kind, name, {name: content}, _read_mask(name, encoding))
            for kind, encoding, name, content in singles
        ),
        *(Seed("mask legend", name, pair, _read_mask("map.png", "half")) for name in pair),
    ]


def _read_mask(name: str, encoding: str) -> Callable[[Path], object]:
    return lambda folder: MaskFile(folder / name, encoding, target="disc").read(SHAPE)


def _dataset_seeds(rgb: np.ndarray, mask: np.ndarray) -> list[Seed]:
    table = b"image,disc,patient,split\na.png,a_disc.png,1,train\nb.png,,2,test\n"
    picture = _saved(Image.fromarray(rgb), "png")
    drawn = _saved(Image.fromarray(mask), "png")
    files = {"dataset.csv": table, "a.png": picture, "b.png": picture, "a_disc.png": drawn}
    return [Seed("dataset csv", "dataset.csv", files, read_dataset)]


def _adapter_seeds() -> list[Seed]:
    source = shipped_folder() / "nano-disc"
    files = {name: (source / name).read_bytes() for name in FILES}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    zipped = {"a.zip": packed.getvalue()}
    return [
        *(Seed(f"adapter {name}", name, files, open_adapter) for name in (CARD, CONFIG, WEIGHTS)),
        Seed("adapter zip", "a.zip", zipped, _import),
    ]


def _import(folder: Path) -> object:
    return import_adapter(folder / "a.zip", name="fuzzed", replace=True)


def _saved(image: Image.Image, suffix: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, {"jpg": "jpeg", "jp2": "jpeg2000"}.get(suffix, suffix), **options)
    return stream.getvalue()


def _dicom(
    values: np.ndarray, *, syntax: UID = ExplicitVRLittleEndian, frame: bytes = b"", **tags: object
) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = OphthalmicPhotography8BitImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["fuzz"])
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 1 if values.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PlanarConfiguration = 7, 0, 0
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    dataset.PixelData = pydicom.encaps.encapsulate([frame]) if frame else values.tobytes()
    dataset["PixelData"].VR = "OB"
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def main() -> int:
    """Run the script; return its exit code."""
    count, seed = (int(text) for text in sys.argv[1:3])
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
    outcomes, failures = run(count, seed)
    total: Counter[str] = Counter()
    for kind, counts in sorted(outcomes.items()):
        total += counts
        print(f"{kind:36} {counts['read']:6} read {counts['refused']:6} refused", end="")
        print(f" {counts['failed']:6} failed" if counts["failed"] else "")
    print(f"{'in all':36} {total['read']:6} read {total['refused']:6} refused", end="")
    print(f" {total['failed']:6} failed")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
