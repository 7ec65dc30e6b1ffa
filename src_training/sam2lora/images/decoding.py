"""Decode image and mask files; `sam2lora.images.reading` is the public interface.

Headers are checked before anything is decoded, and whatever a decoder raises about a bad file
becomes one `ImageError` that names the file.
"""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sam2lora.errors import ImageError
from sam2lora.types import Eye

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Array = NDArray[Any]

MAX_PIXELS = 89_478_485
"""Largest image that is read, in pixels (9 460 squared): Pillow's limit for image bombs."""

_REDUCE = "Reduce the image first; no fundus camera takes images of this size."

_TIFF = frozenset({".tif", ".tiff"})
_DICOM = frozenset({".dcm", ".dicom"})
_PILLOW = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".webp"})
IMAGE_SUFFIXES = _PILLOW | {".ppm.gz", ".pgm.gz"} | _TIFF | _DICOM
"""File extensions read as images, in lower case; matching ignores case."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The content of an image file, unscaled.

    Attributes
    ----------
    values
        `(H, W)` or `(H, W, channels)` in the file's own type, upright.
    spacing
        Millimetres per pixel (row, column), if the file gives it.
    eye
        "left" or "right", if the file gives it.
    """

    values: Array
    spacing: tuple[float, float] | None = None
    eye: Eye | None = None


def image_suffix(path: Path) -> str:
    """Return the extension that decides the format, in lower case: `.jpg`, `.ppm.gz`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def image_stem(path: Path) -> str:
    """Return a file name without the extension of `image_suffix`: `a` of `a.ppm.gz`."""
    return path.name[: len(path.name) - len(image_suffix(path))]


def is_image_file(path: Path) -> bool:
    """Check whether a file is read as an image, by its name (hidden files are not)."""
    return image_suffix(path) in IMAGE_SUFFIXES and not path.name.startswith(".")


def decode(path: Path, *, palette_indices: bool = False) -> DecodedImage:
    """Decode one image file.

    Parameters
    ----------
    path
        The file; its extension decides between TIFF, DICOM and the formats Pillow detects itself.
    palette_indices
        Return the indices of a colour palette, as for a label image, instead of its colours.

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged, too large, or holds several images.
    """
    with _reading(path):
        suffix = image_suffix(path)
        if suffix in _TIFF:
            return DecodedImage(_read_tiff(path, palette_indices=palette_indices))
        if suffix in _DICOM:
            return _read_dicom(path)
        content = path.read_bytes()
        if suffix.endswith(".gz"):
            content = _gunzip(path, content)
        return DecodedImage(_read_with_pillow(path, content, palette_indices=palette_indices))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert any error of a decoder into an `ImageError` that names the file."""
    try:
        if not path.exists():
            raise ImageError(f"{path}: there is no such file.")
        if path.is_dir():
            raise ImageError(f"{path}: is a folder; expected an image file.")
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: the file is empty (0 bytes). Copy it again from its source.")
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path}: is not an image in a supported format (TIFF, PNG, JPEG, BMP, GIF, "
            "PPM, PGM, WebP, DICOM)."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{path}: has more pixels than twice the limit of {MAX_PIXELS:,}. {_REDUCE}"
        ) from error
    except MemoryError as error:
        raise ImageError(f"{path}: not enough memory to open it.") from error
    except Exception as error:  # decoders raise anything on damaged files
        if isinstance(error, OSError) and error.strerror:
            raise ImageError(f"{path}: cannot be opened ({error.strerror}).") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{path}: cannot be read: damaged or truncated ({reason}). Copy it again from "
            "its source."
        ) from error


def _check_size(path: Path, height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width} × {height} pixels are more than the limit of {MAX_PIXELS:,}. "
            f"{_REDUCE}"
        )


def _gunzip(path: Path, content: bytes) -> bytes:
    limit = MAX_PIXELS * 6
    with gzip.open(io.BytesIO(content)) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ImageError(f"{path}: unpacks to more than {limit:,} bytes; not a fundus image.")
    return data


def _read_tiff(path: Path, *, palette_indices: bool) -> Array:
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        sizes = dict(zip(series.axes, series.shape, strict=True))
        extra = {axis: size for axis, size in sizes.items() if axis not in "YXS" and size > 1}
        planar = list(extra.values()) == [3] and "S" not in sizes
        if (extra and not planar) or sizes.get("S", 1) > 4:
            raise ImageError(
                f"{path}: is a stack of shape {series.shape}; expected a single image. "
                "Split it into its images first."
            )
        _check_size(path, sizes["Y"], sizes["X"])
        _check_complete(series.keyframe, path.stat().st_size)
        values = _apply_photometric(
            series.asarray(), series.keyframe, palette_indices=palette_indices
        )
        orientation = getattr(series.keyframe.tags.get("Orientation"), "value", 1)
    order = [series.axes.index(axis) for axis in "YX"]
    order += [i for i in range(values.ndim) if i not in order and values.shape[i] > 1]
    values = values.transpose(order + [i for i in range(values.ndim) if i not in order])
    values = values.reshape(tuple(size for i, size in enumerate(values.shape) if i < 2 or size > 1))
    return _turn_upright(values, int(orientation))


def _check_complete(page: tifffile.TiffPage, file_size: int) -> None:
    """Raise an error if a page's data exceed the file: libjpeg would invent the missing pixels."""
    ends = [
        start + length for start, length in zip(page.dataoffsets, page.databytecounts, strict=True)
    ]
    if ends and max(ends) > file_size:
        raise ValueError(f"expected {max(ends)} bytes, found {file_size}")


def _apply_photometric(values: Array, page: tifffile.TiffPage, *, palette_indices: bool) -> Array:
    """Apply what tifffile does not: white as 0, and the colors of a palette."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and values.dtype.kind in "bu":
        highest = (1 << int(page.bitspersample)) - 1
        return ~values if values.dtype == np.bool_ else (highest - values).astype(values.dtype)
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None:
        colors = (page.colormap >> 8).astype(np.uint8)  # (3, N)
        if (colors == colors[:1]).all():
            return np.asarray(colors[0][values])
        if not palette_indices:
            return np.asarray(np.moveaxis(colors[:, values], 0, -1))
    return values


def _turn_upright(values: Array, orientation: int) -> Array:
    """Apply the TIFF/EXIF orientation tag (1…8) to rows and columns."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return values[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _read_with_pillow(path: Path, content: bytes, *, palette_indices: bool) -> Array:
    with Image.open(io.BytesIO(content)) as image:
        _check_size(path, image.height, image.width)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise ImageError(f"{path}: holds {frames} images; expected a single one.")
        if image.format == "PNG" and image.mode == "RGB" and content[24] == 16:
            return _read_16_bit_png(content)
        return _pillow_array(ImageOps.exif_transpose(image), palette_indices=palette_indices)


def _read_16_bit_png(content: bytes) -> Array:
    """Read all 16 bits of an RGB PNG; Pillow keeps only 8."""
    import imagecodecs

    values: Array = imagecodecs.png_decode(content)
    return values


def _pillow_array(image: Image.Image, *, palette_indices: bool) -> Array:
    if image.mode == "P":
        colors = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        if (colors == colors[:, :1]).all():
            image = image.convert("L")
        elif not palette_indices:
            image = image.convert("RGB")
    elif image.mode not in ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "I;16B", "F"):
        image = image.convert("RGB")
    values = np.asarray(image)
    if values.dtype == np.bool_:
        values = values.view(np.uint8) > 0  # Pillow's booleans are the bytes 0 and 255
    fits_16_bit = values.dtype == np.int32 and values.min() >= 0 and values.max() <= 65535
    return values.astype(np.uint16) if fits_16_bit else values


def _read_dicom(path: Path) -> DecodedImage:
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            f"{path}: reading DICOM needs pydicom: pip install 'napari-sam2lora[dicom]'."
        ) from error
    dataset = pydicom.dcmread(path)
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ImageError(f"{path}: holds {dataset.NumberOfFrames} frames; expected one.")
    _check_size(path, dataset.Rows, dataset.Columns)
    values: Array = dataset.pixel_array
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = (2**dataset.BitsStored - 1 - values.astype(np.int64)).astype(np.uint16)
    laterality = str(dataset.get("ImageLaterality") or dataset.get("Laterality") or "")
    eyes: dict[str, Eye] = {"L": "left", "R": "right"}
    return DecodedImage(values, spacing=_dicom_spacing(dataset), eye=eyes.get(laterality))


def _dicom_spacing(dataset: "Dataset") -> tuple[float, float] | None:
    spacing = dataset.get("PixelSpacing")
    if not spacing or not all(float(step) > 0 for step in spacing):
        return None
    return float(spacing[0]), float(spacing[1])
