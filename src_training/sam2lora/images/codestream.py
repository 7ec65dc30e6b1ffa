"""Read and decode the JPEG codestreams that Pillow does not: 12 bits, lossless, JPEG-LS.

They are found in DICOM files, where the codestream may also claim another size than the file.
"""

import struct
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from sam2lora.images.decoded_image import Array

_SOF = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # markers of a frame header
_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


@dataclass(frozen=True)
class CodestreamHeader:
    """The header of a JPEG, JPEG-LS or JPEG 2000 codestream.

    Attributes
    ----------
    height, width
        Size in pixels.
    channels
        Number of components.
    bits
        Bits per component.
    process
        Second byte of JPEG's frame marker, such as 0xC0 for baseline; 0 for JPEG 2000.
    orientation
        EXIF orientation, 1…8.
    """

    height: int
    width: int
    channels: int
    bits: int
    process: int = 0
    orientation: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Bytes per decoded pixel, over all channels."""
        return self.channels * (1 if self.bits <= 8 else 2)

    @property
    def is_lossless(self) -> bool:
        """Whether this is lossless JPEG or JPEG-LS, whose samples have no color conversion."""
        return self.process in (_LOSSLESS, _JPEG_LS)

    @property
    def needs_imagecodecs(self) -> bool:
        """Whether Pillow cannot decode this JPEG: lossless, JPEG-LS, or not of 8 bits."""
        return self.is_lossless or (self.process > 0 and self.bits != 8)


def read_jpeg_header(content: bytes) -> CodestreamHeader | None:
    """Read the frame header of a JPEG or JPEG-LS codestream; None if there is none."""
    position, orientation = 2, 1
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", content, position + 2)
        segment = content[position + 4 : position + 2 + length]
        if marker in _SOF and len(segment) >= 6:
            bits, height, width, channels = struct.unpack_from(">BHHB", segment)
            return CodestreamHeader(height, width, channels, bits, marker, orientation)
        if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            exif = Image.Exif()
            exif.load(segment)
            orientation = exif.get(ExifTags.Base.Orientation, 1)
        position += 2 + length
    return None


def read_jpeg2000_header(content: bytes) -> CodestreamHeader | None:
    """Read the size marker of a JPEG 2000 codestream, with or without boxes around it."""
    start = content.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(content) < start + 43:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", content, start + 8)
    channels, depth = struct.unpack_from(">HB", content, start + 40)
    return CodestreamHeader(bottom - top, right - left, channels, (depth & 0x7F) + 1)


def decode_jpeg(content: bytes, header: CodestreamHeader) -> Array:
    """Decode a codestream that `needs_imagecodecs`; `(H, W)` or `(H, W, channels)`."""
    import imagecodecs

    decode = {_LOSSLESS: imagecodecs.jpegsof3_decode, _JPEG_LS: imagecodecs.jpegls_decode}
    return np.asarray(decode.get(header.process, imagecodecs.jpeg8_decode)(content))


def decode_jpeg2000(content: bytes) -> Array:
    """Decode JPEG 2000 with all of its bits, of which Pillow keeps 8 of a colour image."""
    import imagecodecs

    return np.asarray(imagecodecs.jpeg2k_decode(content))
