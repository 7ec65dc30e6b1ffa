"""Decode TIFF: grey, RGB and palettes by tifffile; CMYK, YCbCr and Lab by Pillow.

Of pages of different sizes the largest is read; several pages of one size are a stack, which is
refused, and so are colours that neither library converts.
"""

import math
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from sam2lora.errors import ImageError
from sam2lora.images.decoded_image import (
    Array,
    DecodedImage,
    border_share,
    check_size,
    turn_upright,
)

_PHOTOMETRIC, _COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
_KEPT = frozenset(
    {
        _PHOTOMETRIC.MINISWHITE,
        _PHOTOMETRIC.MINISBLACK,
        _PHOTOMETRIC.RGB,
        _PHOTOMETRIC.PALETTE,
        _PHOTOMETRIC.MASK,
    }
)
_BY_PILLOW = {
    _PHOTOMETRIC.SEPARATED: ("CMYK", "CMYK to RGB without a colour profile"),
    _PHOTOMETRIC.YCBCR: ("YCbCr", "YCbCr to RGB"),
    _PHOTOMETRIC.CIELAB: ("LAB", "Lab to RGB"),
}
_BACKGROUND = 0.1  # most of the border that is on the structure in a mask
_SPLIT = "Split it into its images first."


def read_tiff(path: Path, *, stored_values: bool) -> DecodedImage:
    """Decode the largest page of a TIFF file.

    Parameters
    ----------
    path
        The file.
    stored_values
        Return what the file stores rather than what a viewer shows, as for masks and label images:
        the indices of a colour palette, and the values behind ImageJ's inverting lookup table.

    Raises
    ------
    ImageError
        If it is a stack, too large, or its colours cannot be converted. Whatever else tifffile or
        Pillow raises is not caught.
    """
    with tifffile.TiffFile(path) as tiff:
        series, note = _largest_picture(path, tiff)
        page = series.keyframe
        _check_decodable(path, series)
        is_jpeg = page.compression in (_COMPRESSION.JPEG, _COMPRESSION.OJPEG)
        if page.photometric in _BY_PILLOW and not (
            page.photometric == _PHOTOMETRIC.YCBCR and is_jpeg  # tifffile's decoder converts it
        ):
            mode, conversion = _BY_PILLOW[page.photometric]
            return DecodedImage(_convert(path, page, mode), note=_join(note, conversion))
        if page.photometric not in _KEPT and not is_jpeg:
            raise _unsupported_color(path, page)
        order = [series.axes.index(axis) for axis in "YX"]
        order += [i for i in range(len(series.shape)) if i not in order]
        values = series.asarray().transpose(order)
        kept = [n for i, n in enumerate(values.shape) if i < 2 or n > 1]
        values = _apply_photometric(values.reshape(kept), tiff, page, stored_values=stored_values)
        orientation = int(getattr(page.tags.get("Orientation"), "value", 1))
        return DecodedImage(turn_upright(values, orientation), note=note)


def read_tiff_shape(path: Path) -> tuple[int, int]:
    """Return the `(H, W)` of what `read_tiff` returns, from the header.

    Raises
    ------
    ImageError
        If it is a stack. Whatever else tifffile raises is not caught.
    """
    with tifffile.TiffFile(path) as tiff:
        series, _ = _largest_picture(path, tiff)
        height, width = _plane(series)
        orientation = int(getattr(series.keyframe.tags.get("Orientation"), "value", 1))
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def _largest_picture(path: Path, tiff: tifffile.TiffFile) -> tuple[tifffile.TiffPageSeries, str]:
    """Return the one picture with the largest area, and a note if there are smaller ones."""
    pictures = list(tiff.series)
    if not pictures:
        raise ImageError(f"{path}: the TIFF file holds no image.")
    for series in pictures:
        if not {"Y", "X"} <= set(series.axes):
            raise ImageError(
                f"{path}: has axes {series.axes} of shape {series.shape}; expected an image."
            )
    area = max(math.prod(_plane(series)) for series in pictures)
    largest = [series for series in pictures if math.prod(_plane(series)) == area]
    series = largest[0]
    if len(largest) > 1:
        height, width = _plane(series)
        raise ImageError(
            f"{path}: is a stack of {len(largest)} images of {width} × {height} pixels; expected "
            f"a single image. {_SPLIT}"
        )
    sizes = dict(zip(series.axes, series.shape, strict=True))
    extra = {axis: size for axis, size in sizes.items() if axis not in "YXS" and size > 1}
    if (extra and not _is_color_composite(tiff, extra)) or sizes.get("S", 1) > 4:
        raise ImageError(
            f"{path}: is a stack of shape {series.shape}; expected a single image. {_SPLIT}"
        )
    number = len(pictures) + len(series.levels) - 1
    return series, "" if number == 1 else f"largest of {number} pictures in the file"


def _plane(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    sizes = dict(zip(series.axes, series.shape, strict=True))
    return sizes["Y"], sizes["X"]


def _is_color_composite(tiff: tifffile.TiffFile, extra: dict[str, int]) -> bool:
    """Check whether three channels are ImageJ's composite of red, green and blue."""
    metadata = tiff.imagej_metadata or {}
    if extra != {"C": 3} or metadata.get("mode") != "composite":
        return False
    tables = metadata.get("LUTs")
    pure = [np.arange(256) * np.eye(3, dtype=int)[[channel]].T for channel in range(3)]
    return tables is None or bool(np.array_equal(tables, pure))


def _check_decodable(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Check what the header says about the decoded data, before anything is decoded."""
    page = series.keyframe
    if series.dtype is None or series.dtype.kind not in "buif":
        raise ImageError(f"{path}: pixels of type {series.dtype} are not an image.")
    height, width = _plane(series)
    samples = math.prod(series.shape) // max(1, height * width)
    check_size(path, height, width, pixel_bytes=samples * series.dtype.itemsize)
    check_size(path, 1, math.prod(page.chunks), pixel_bytes=series.dtype.itemsize)
    ends = [
        start + length for start, length in zip(page.dataoffsets, page.databytecounts, strict=True)
    ]
    size = path.stat().st_size
    if ends and max(ends) > size:  # libjpeg would invent the missing pixels
        raise ValueError(f"expected {max(ends)} bytes, found {size}")


def _unsupported_color(path: Path, page: tifffile.TiffPage) -> ImageError:
    name = getattr(page.photometric, "name", page.photometric)
    return ImageError(
        f"{path}: its colours are stored as {name} ({page.samplesperpixel} channels of "
        f"{page.bitspersample} bits), which is not supported. Save it as RGB."
    )


def _convert(path: Path, page: tifffile.TiffPage, mode: str) -> Array:
    """Convert a page to RGB by Pillow, which turns it upright, too."""
    subsampled = mode == "YCbCr" and page.compression == 1 and page.subsampling != (1, 1)
    if not isinstance(page.index, int) or subsampled:
        raise _unsupported_color(path, page)
    try:
        # A file rather than a path: Pillow does not turn images that it maps into memory.
        with path.open("rb") as file, Image.open(file, formats=("TIFF",)) as image:
            image.seek(page.index)
            if image.mode in (mode, "RGB"):
                return np.asarray(image.convert("RGB"))
    except UnidentifiedImageError as error:
        raise _unsupported_color(path, page) from error
    raise _unsupported_color(path, page)


def _apply_photometric(
    values: Array, tiff: tifffile.TiffFile, page: tifffile.TiffPage, *, stored_values: bool
) -> Array:
    """Apply what tifffile does not: white as 0, the colors of a palette, and kinds of alpha."""
    if values.ndim == 3 and values.shape[2] in (2, 4):
        colors = values[..., :-1]
        alpha: Array | None = values[..., -1:]
        extra = page.extrasamples[-1] if page.extrasamples else 0
        if extra == tifffile.EXTRASAMPLE.ASSOCALPHA:
            colors = _unassociate(colors, values[..., -1:])
        elif extra == tifffile.EXTRASAMPLE.UNSPECIFIED and not values[..., -1].any():
            alpha = None  # a fourth channel of zeros fills up to 32 bits
        if colors.shape[2] == 1:
            colors = _apply_table(colors[..., 0], tiff, page, stored_values=stored_values)
        return colors if alpha is None else np.dstack([colors, alpha])
    return _apply_table(values, tiff, page, stored_values=stored_values)


def _unassociate(colors: Array, alpha: Array) -> Array:
    """Return colors that were stored multiplied by alpha as they were before."""
    kind = colors.dtype.kind
    highest = 1.0 if kind == "f" else float(np.iinfo(colors.dtype).max)
    share = np.maximum(alpha.astype(np.float32), np.finfo(np.float32).tiny) / np.float32(highest)
    plain = np.where(alpha == highest, colors, np.minimum(colors / share, highest))
    return (plain if kind == "f" else np.rint(plain)).astype(colors.dtype)


def _apply_table(
    values: Array, tiff: tifffile.TiffFile, page: tifffile.TiffPage, *, stored_values: bool
) -> Array:
    if _is_inverted(tiff, page, values, stored_values=stored_values):
        highest = (1 << int(page.bitspersample)) - 1
        return ~values if values.dtype == np.bool_ else (highest - values).astype(values.dtype)
    if page.photometric == _PHOTOMETRIC.PALETTE and page.colormap is not None:
        table = page.colormap if page.colormap.max() < 256 else page.colormap >> 8  # as libtiff
        colors = table.astype(np.uint8)  # (3, N)
        if (colors == colors[:1]).all():
            return np.asarray(colors[0][values])
        if not stored_values:
            return np.asarray(np.moveaxis(colors[:, values], 0, -1))
    return values


def _is_inverted(
    tiff: tifffile.TiffFile, page: tifffile.TiffPage, values: Array, *, stored_values: bool
) -> bool:
    """Check whether 0 is white.

    Two writers set the tag for arrays in which 0 is the background: tifffile for each bool array,
    and ImageJ for masks, which it shows through an inverting lookup table. Of an array of one bit
    whose writer is unknown, most of the border is background.
    """
    if page.photometric != _PHOTOMETRIC.MINISWHITE or values.dtype.kind not in "bu":
        return False
    by_tifffile = page.is_shaped or "tifffile" in page.software or "tifffile" in page.description
    if page.bitspersample == 1 and (by_tifffile or border_share(values > 0) < _BACKGROUND):
        return False
    return not (stored_values and tiff.is_imagej)


def _join(*notes: str) -> str:
    return "; ".join(filter(None, notes))
