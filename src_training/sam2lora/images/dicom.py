"""Decode DICOM files by pydicom, of the extra `dicom`, and their compressed frames by imagecodecs.

Grey values go through the file's rescaling; the window (VOI), which is a choice of display, is not
applied.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sam2lora.errors import ImageError
from sam2lora.images.codestream import (
    CodestreamHeader,
    decode_jpeg,
    decode_jpeg2000,
    read_jpeg2000_header,
    read_jpeg_header,
)
from sam2lora.images.decoded_image import MAX_BYTES, Array, DecodedImage, check_size
from sam2lora.images.full_scale import find_full_scale
from sam2lora.types import Eye, Mask

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PREAMBLE = 128  # bytes before the letters DICM
_DEFLATED = "1.2.840.10008.1.2.1.99"
_RLE = "1.2.840.10008.1.2.5"
_PREFIX = "1.2.840.10008.1.2.4."
_JPEG = {f"{_PREFIX}{n}" for n in (50, 51, 57, 70, 80, 81)}  # 8 and 12 bits, lossless, JPEG-LS
_HIGH_THROUGHPUT = {f"{_PREFIX}{n}" for n in (201, 202, 203)}
_JPEG_2000 = {f"{_PREFIX}{n}" for n in (90, 91)} | _HIGH_THROUGHPUT
_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", _DEFLATED}
_GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(head: bytes) -> bool:
    """Check whether a file's first bytes are those of DICOM, with or without its preamble.

    Parameters
    ----------
    head
        At least the first 132 bytes; without a preamble, the file begins with an element of group
        2 or 8 of a plausible length.
    """
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    if head[:1] not in (b"\x02", b"\x08") or head[1] != 0 or head[3] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or int.from_bytes(head[4:8], "little") in range(2, 65)


def read_dicom(path: Path) -> DecodedImage:
    """Decode the single image of a DICOM file.

    Raises
    ------
    ImageError
        If pydicom is missing, the file holds no single image, is too large, or is compressed in a
        way that is not supported. Whatever else pydicom raises is not caught.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ImageError(
            f"{path}: reading DICOM needs pydicom: pip install 'napari-sam2lora[dicom]'."
        ) from error
    _check_inflated(path)
    dataset = pydicom.dcmread(path, force=True)
    _check_header(path, dataset)
    values = _decode_pixels(path, dataset)
    notes = []
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        values = _apply_palette(values, dataset)
        notes.append("palette to RGB")
    elif dataset.PhotometricInterpretation in _GREY:
        values, notes = _apply_grey_scale(values, dataset)
    notes += _describe_aspect(dataset)
    laterality = str(dataset.get("ImageLaterality") or dataset.get("Laterality") or "")
    eyes: dict[str, Eye] = {"L": "left", "R": "right"}
    return DecodedImage(
        values, spacing=_spacing(dataset), eye=eyes.get(laterality), note="; ".join(notes)
    )


def _check_inflated(path: Path) -> None:
    """Raise an error if a deflated dataset unpacks to more than the limit: pydicom unpacks all."""
    with path.open("rb") as file:
        head = file.read(4096)
        if _DEFLATED.encode() not in head:
            return
        start = _PREAMBLE + 4 if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM" else 0
        if head[start : start + 8] != b"\x02\0\0\0UL\x04\0":
            raise ValueError("the length of its meta information is missing")
        # The meta information is not deflated: its length element of 12 bytes, then the rest.
        file.seek(start + 12 + int.from_bytes(head[start + 8 : start + 12], "little"))
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        size = 0
        while chunk := file.read(1 << 16):
            while chunk and size <= MAX_BYTES:
                size += len(unpacker.decompress(chunk, 1 << 20))
                chunk = unpacker.unconsumed_tail
        if size > MAX_BYTES:
            raise ImageError(f"{path}: unpacks to more than the limit of {MAX_BYTES:,} bytes.")


def _check_header(path: Path, dataset: "Dataset") -> None:
    """Check that a dataset holds one image of an allowed size, and complete what is missing."""
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise ImageError(
            f"{path}: holds pixels in floating point, which are not read from DICOM. Export it "
            "with whole numbers."
        )
    for keyword in ("Rows", "Columns", "PixelData", "PhotometricInterpretation"):
        if dataset.get(keyword) is None:
            raise ImageError(f"{path}: is a DICOM file that holds no image (it has no {keyword}).")
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ImageError(
            f"{path}: holds {dataset.NumberOfFrames} frames; expected one. Save the one you need "
            "on its own."
        )
    samples = int(dataset.get("SamplesPerPixel") or 1)
    allocated = -(-int(dataset.get("BitsAllocated") or 8) // 8)
    check_size(path, int(dataset.Rows), int(dataset.Columns), pixel_bytes=samples * allocated)
    meta = getattr(dataset, "file_meta", None)
    if not meta or "TransferSyntaxUID" not in meta:
        _add_syntax(path, dataset)


def _add_syntax(path: Path, dataset: "Dataset") -> None:
    """Add the encoding that a file without meta information was found to have."""
    from pydicom import uid
    from pydicom.dataset import FileMetaDataset

    if dataset["PixelData"].is_undefined_length:
        raise ImageError(
            f"{path}: its pixels are compressed, but the file does not say how (it has no transfer "
            "syntax). Export it again."
        )
    implicit, little = dataset.original_encoding
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = (
        uid.ImplicitVRLittleEndian
        if implicit
        else uid.ExplicitVRLittleEndian
        if little
        else uid.ExplicitVRBigEndian
    )


def _decode_pixels(path: Path, dataset: "Dataset") -> Array:
    """Return the pixels, `(H, W)` or RGB `(H, W, 3)`, before palette and rescaling."""
    from pydicom.encaps import get_frame
    from pydicom.pixels import pixel_array

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _NATIVE:
        return _decode_native(dataset)
    if syntax not in {_RLE} | _JPEG | _JPEG_2000:
        raise ImageError(
            f"{path}: is compressed as {syntax.name}, which is not supported. Export it "
            "uncompressed, or as JPEG."
        )
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == _RLE:
        size = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
        if len(frame) > 2 * size + 128:  # a valid frame at most doubles; a bomb unpacks 64-fold
            raise ValueError(f"{len(frame)} bytes of RLE for {size} bytes of pixels")
        return np.asarray(pixel_array(dataset))
    header = read_jpeg2000_header(frame) if syntax in _JPEG_2000 else read_jpeg_header(frame)
    if header is None or (header.height, header.width) != (dataset.Rows, dataset.Columns):
        found = "nothing" if header is None else f"{header.width} × {header.height} pixels"
        raise ValueError(
            f"{dataset.Columns} × {dataset.Rows} pixels are announced, and {found} compressed"
        )
    check_size(path, header.height, header.width, pixel_bytes=header.pixel_bytes)
    if syntax in _JPEG and header.needs_imagecodecs:
        return _interpret(decode_jpeg(frame, header), header, dataset)
    if syntax in _HIGH_THROUGHPUT or (syntax in _JPEG_2000 and _is_deep_color(header)):
        return decode_jpeg2000(frame)
    return np.asarray(pixel_array(dataset))


def _decode_native(dataset: "Dataset") -> Array:
    """Decode pixels that are not compressed, without the bits below them."""
    from pydicom.pixels import pixel_array

    stored = int(dataset.get("BitsStored") or 0)
    below = int(dataset.get("HighBit") or 0) + 1 - stored
    if below <= 0:
        return np.asarray(pixel_array(dataset))
    dataset.BitsStored = stored + below  # pydicom takes the lowest bits
    values: Array = np.asarray(pixel_array(dataset)) >> below
    dataset.BitsStored = stored
    return values


def _is_deep_color(header: CodestreamHeader) -> bool:
    return header.channels > 1 and header.bits > 8


def _interpret(values: Array, header: CodestreamHeader, dataset: "Dataset") -> Array:
    """Apply what pydicom does to the samples of its own decoders: color space and sign."""
    from pydicom.pixels import convert_color_space

    if str(dataset.PhotometricInterpretation) == "YBR_FULL" and header.is_lossless:
        return np.asarray(convert_color_space(values, "YBR_FULL", "RGB"))
    if dataset.PixelRepresentation == 1:
        unused = 8 * values.dtype.itemsize - int(dataset.BitsStored)
        return (values << unused).view(f"i{values.dtype.itemsize}") >> unused
    return values


def _apply_palette(values: Array, dataset: "Dataset") -> Array:
    """Return the colors of a palette with 8 bits, as those of a TIFF."""
    from pydicom.pixels import apply_color_lut

    colors = np.asarray(apply_color_lut(values, dataset))[..., :3]
    if colors.dtype != np.uint8 and dataset.RedPaletteColorLookupTableDescriptor[2] > 8:
        colors >>= 8
    return colors.astype(np.uint8)


def _apply_grey_scale(values: Array, dataset: "Dataset") -> tuple[Array, list[str]]:
    """Rescale grey values, and make the lowest black; return a note on each conversion."""
    from pydicom.pixels import apply_rescale

    bits, signed = int(dataset.BitsStored), dataset.PixelRepresentation == 1
    notes = []
    values, padding = _without_padding(values, dataset)
    highest = 2**bits - 1 if signed or bits < dataset.BitsAllocated else find_full_scale(values)
    ends = np.array([0, highest]) - (2 ** (bits - 1) if signed else 0)
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if "ModalityLUTSequence" in dataset:
        values = apply_rescale(values, dataset)
        ends = np.array([0, 2 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1])
        notes.append("modality table applied")
    elif None not in (slope, intercept) and (slope, intercept) != (1, 0):
        values, ends = (apply_rescale(array, dataset) for array in (values, ends))
        notes.append(f"rescaled by {float(slope):g} and {float(intercept):+g}")
    inverse = dataset.get("PresentationLUTShape") == "INVERSE"
    if inverse or dataset.PhotometricInterpretation == "MONOCHROME1":
        values = ends.sum() - values.astype(np.result_type(values, ends))
        notes.append("inverted: 0 is white")
    if values.min() < 0:
        values = values - ends.min()
        notes.append(f"shifted by {-ends.min():g}: there are values below 0")
    if padding.any():
        values = np.where(padding, np.zeros((), values.dtype), values)
        notes.append("padding made black")
    if values.dtype.kind == "i" and 0 <= values.min() <= values.max() <= 65535:
        values = values.astype(np.uint16)
    return values, notes


def _without_padding(values: Array, dataset: "Dataset") -> tuple[Array, Mask]:
    """Return stored values with those of the padding replaced, and where it is, `(H, W)` bool."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return values, np.zeros(values.shape, dtype=np.bool_)
    last = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if last is None else last)))
    padding: Mask = (values >= low) & (values <= high)
    if padding.all():
        return values, ~padding
    return np.where(padding, values[~padding].min(), values), padding


def _describe_aspect(dataset: "Dataset") -> list[str]:
    aspect = dataset.get("PixelAspectRatio")
    if not aspect or aspect[0] == aspect[1]:
        return []
    return [f"pixels are not square (height to width {aspect[0]}:{aspect[1]}), not resampled"]


def _spacing(dataset: "Dataset") -> tuple[float, float] | None:
    spacing: Any = dataset.get("PixelSpacing")
    if not isinstance(spacing, Sequence) or len(spacing) != 2:
        return None
    row, column = float(spacing[0]), float(spacing[1])
    return (row, column) if row > 0 and column > 0 else None
