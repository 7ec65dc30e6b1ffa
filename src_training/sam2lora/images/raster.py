"""Decode PNG, JPEG, BMP, GIF, PPM/PGM, WebP, JPEG 2000 and AVIF, by Pillow where it keeps all bits.

imagecodecs decodes what Pillow would reduce to 8 bits or does not know: 16-bit PNG with colour or
alpha, deep JPEG 2000, and JPEG of 12 bits, lossless or JPEG-LS.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from sam2lora.errors import ImageError
from sam2lora.images.codestream import (
    decode_jpeg,
    decode_jpeg2000,
    read_jpeg2000_header,
    read_jpeg_header,
)
from sam2lora.images.decoded_image import Array, DecodedImage, check_size, turn_upright

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "JPEG2000", "AVIF")
"""Pillow's names of the formats; it tries no others."""

_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I", "I;16", "I;16B", "F")


def read_raster(path: Path, file: BinaryIO, *, stored_values: bool) -> DecodedImage:
    """Decode a file whose format Pillow detects.

    Parameters
    ----------
    path
        Its name, for messages.
    file
        Its content; may be a stream that unpacks.
    stored_values
        Return the indices of a colour palette, as for a label image, and of a grey one that falls
        from 255 to 0, which is ImageJ's inverting lookup table, instead of the colours.

    Raises
    ------
    ImageError
        If it is too large, or holds several images. Whatever else Pillow raises is not caught.
    """
    if file.read(2) == b"\xff\xd8":
        file.seek(0)
        content = file.read()
        header = read_jpeg_header(content)
        if header is not None and header.needs_imagecodecs:
            check_size(path, header.height, header.width, pixel_bytes=header.pixel_bytes)
            values = decode_jpeg(content, header)
            return DecodedImage(turn_upright(values, header.orientation))
    file.seek(0)
    with Image.open(file, formats=FORMATS) as image:
        bits = 32 if image.mode in ("I", "F") else 8
        check_size(path, image.height, image.width, pixel_bytes=len(image.getbands()) * bits // 8)
        note = _check_single(path, image)
        deep = _read_all_bits(path, image, file)
        if deep is not None:
            return DecodedImage(deep, note=note)
        if image.mode == "CMYK":
            note = "; ".join(filter(None, [note, "CMYK to RGB without a colour profile"]))
        upright = ImageOps.exif_transpose(image)
        return DecodedImage(_pillow_array(upright, stored_values=stored_values), note=note)


def _check_single(path: Path, image: Image.Image) -> str:
    """Raise an error for several images, but take the first of a phone's; return the note."""
    frames = getattr(image, "n_frames", 1)
    if frames == 1:
        return ""
    if image.format == "MPO":  # the others are depth maps, previews, or the view of another lens
        return f"first of {frames} pictures in the file"
    raise ImageError(
        f"{path}: holds {frames} images; expected a single one. Save the one you need on its own."
    )


def _read_all_bits(path: Path, image: Image.Image, file: BinaryIO) -> Array | None:
    """Decode what Pillow would reduce: deep PNG and JPEG 2000, and PNG with a transparent value."""
    file.seek(0)
    if image.format == "PNG":
        depth, color_type = file.read(26)[24:26]
        keyed = image.mode in ("1", "L", "RGB") and "transparency" in image.info
        if depth < 16 and not keyed:
            return None
        samples = {0: 2, 2: 4, 4: 2, 6: 4}[color_type]
        check_size(path, image.height, image.width, pixel_bytes=samples * (2 if depth == 16 else 1))
        import imagecodecs

        file.seek(0)
        values: Array = imagecodecs.png_decode(file.read())
        return turn_upright(values, image.getexif().get(ExifTags.Base.Orientation, 1))
    if image.format == "JPEG2000":
        content = file.read()
        header = read_jpeg2000_header(content)
        if header is None or header.bits <= 8 or image.mode not in ("RGB", "RGBA", "LA"):
            return None
        check_size(path, image.height, image.width, pixel_bytes=header.pixel_bytes)
        return decode_jpeg2000(content)
    return None


def _pillow_array(image: Image.Image, *, stored_values: bool) -> Array:
    if image.mode == "P":
        colors = np.array(image.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        grey = bool((colors == colors[:, :1]).all())
        inverting = grey and np.array_equal(colors[:, 0], np.arange(255, -1, -1))
        if stored_values and (not grey or inverting):
            return _palette_indices(image)
        transparent = image.has_transparency_data
        image = image.convert("RGBA" if transparent else "L" if grey else "RGB")
    elif "transparency" in image.info:  # a GIF with a grey palette
        image = image.convert("RGBA")
    elif image.mode not in _PLAIN_MODES:
        image = image.convert("RGBA" if image.mode in ("PA", "La", "RGBa") else "RGB")
    values = np.asarray(image)
    if values.dtype == np.bool_:
        values = values.view(np.uint8) > 0  # Pillow's booleans are the bytes 0 and 255
    fits_16_bit = values.dtype == np.int32 and values.min() >= 0 and values.max() <= 65535
    return values.astype(np.uint16) if fits_16_bit else values


def _palette_indices(image: Image.Image) -> Array:
    """Return the indices of a palette, `(H, W)`; `(H, W, 2)` with alpha if any is transparent."""
    indices = np.asarray(image)
    if not image.has_transparency_data:
        return indices
    return np.dstack([indices, np.asarray(image.convert("RGBA"))[..., 3]])
