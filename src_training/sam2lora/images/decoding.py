"""Decode image and mask files; `sam2lora.images.reading` is the public interface.

The content of a file decides its format, not its name. Headers are checked before anything is
decoded, and whatever a decoder raises about a bad file becomes one `ImageError` that names it.
"""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from PIL import ExifTags, Image, UnidentifiedImageError

from sam2lora.errors import ImageError
from sam2lora.images.decoded_image import MAX_PIXELS, REDUCE, DecodedImage
from sam2lora.images.dicom import is_dicom, read_dicom
from sam2lora.images.raster import FORMATS, read_raster
from sam2lora.images.tiff import read_tiff, read_tiff_shape

IMAGE_SUFFIXES = frozenset(
    {
        *(".tif", ".tiff", ".dcm", ".dicom"),
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".jp2", ".avif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".ppm.gz", ".pgm.gz", ".pnm.gz"),
    }
)
"""File extensions read as images, in lower case; matching ignores case."""

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GZIP_SIGNATURE = b"\x1f\x8b"
_MOST_BEHIND = 1 << 20  # bytes that may follow the image in a gzip file
_GIT_LFS = b"version https://git-lfs"
_OTHER_SIGNATURES = {  # (offset, bytes) of formats that users take for images
    (4, b"ftyphei"): "a HEIC image",
    (4, b"ftypmif1"): "a HEIF image",
    (4, b"ftypmsf1"): "a HEIF image",
    (0, b"\0\0\0\x0cJXL "): "a JPEG XL image",
    (0, b"\xff\x0a"): "a JPEG XL image",
    (0, b"II\xbc"): "a JPEG XR image",
    (0, b"8BPS"): "a Photoshop file",
    (0, b"%PDF"): "a PDF document",
    (0, b"PK\x03\x04"): "a ZIP archive",
    (0, b"\x89HDF"): "an HDF5 file",
}


def image_suffix(path: Path) -> str:
    """Return the extension of an image's name, in lower case: `.jpg`, `.ppm.gz`.

    A number after the last dot is no extension, as in the names of DICOM files: `1.2.840.5`.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1][1:].isdigit():
        return ""
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])


def image_stem(path: Path) -> str:
    """Return a file name without the extension of `image_suffix`: `a` of `a.ppm.gz`."""
    return path.name[: len(path.name) - len(image_suffix(path))]


def is_image_file(path: Path) -> bool:
    """Check whether a file in a folder is read as an image; hidden files are not.

    The name decides; only a file without an extension is opened, and is an image if it is DICOM.
    """
    if path.name.startswith("."):
        return False
    suffix = image_suffix(path)
    if suffix or path.name == "DICOMDIR":  # the table of contents of a disc
        return suffix in IMAGE_SUFFIXES
    try:
        return path.is_file() and is_dicom(_read_head(path))
    except OSError:
        return False


def decode(path: Path, *, stored_values: bool = False) -> DecodedImage:
    """Decode one image file.

    Parameters
    ----------
    path
        The file; its content decides the format.
    stored_values
        Return what the file stores rather than what a viewer shows, as for masks and label images:
        the indices of a colour palette, and the values behind ImageJ's inverting lookup table.

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged, too large, or holds several images.
    """
    with _reading(path):
        head = _read_head(path)
        if is_dicom(head):
            return read_dicom(path)
        if head.startswith(_TIFF_SIGNATURES):
            return read_tiff(path, stored_values=stored_values)
        if head.startswith(_GZIP_SIGNATURE):
            return _read_gzip(path, stored_values=stored_values)
        if head.startswith(_GIT_LFS):
            raise ImageError(f"{path}: is a pointer of Git LFS, no image. Fetch it: git lfs pull.")
        for (offset, signature), name in _OTHER_SIGNATURES.items():
            if head.startswith(signature, offset):
                raise ImageError(f"{path}: is {name}, which is not read. Save it as PNG or TIFF.")
        return read_raster(path, io.BytesIO(path.read_bytes()), stored_values=stored_values)


def read_shape(path: Path) -> tuple[int, int]:
    """Return the `(H, W)` of what `decode` returns, from the header where possible.

    Raises
    ------
    ImageError
        As for `decode`; damage behind the header goes unnoticed.
    """
    with _reading(path):
        if _read_head(path).startswith(_TIFF_SIGNATURES):
            return read_tiff_shape(path)
        try:
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        except UnidentifiedImageError:
            height, width = decode(path).values.shape[:2]
            return height, width
    return (width, height) if turned else (height, width)


def read_orientation(path: Path) -> int:
    """Return the EXIF orientation of an image file, 1 to 8; 1, upright, if it has none."""
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # what Pillow cannot open has no orientation that is applied
        return 1
    return orientation if orientation in range(1, 9) else 1


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(132)


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
            "PPM, PGM, WebP, JPEG 2000, AVIF, DICOM)."
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{path}: has more pixels than twice the limit of {MAX_PIXELS:,}. {REDUCE}"
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


def _read_gzip(path: Path, *, stored_values: bool) -> DecodedImage:
    """Decode a packed PPM or PGM, unpacking no more than its header announces."""
    with gzip.open(path) as stream:
        if stream.read(1) != b"P":
            raise ImageError(f"{path}: is packed, but not a PPM or PGM image. Unpack it first.")
        decoded = read_raster(path, cast("BinaryIO", stream), stored_values=stored_values)
        if len(stream.read(_MOST_BEHIND)) == _MOST_BEHIND:  # at the end, the checksum is compared
            raise ImageError(f"{path}: unpacks to more than its image; not a fundus image.")
    return decoded
