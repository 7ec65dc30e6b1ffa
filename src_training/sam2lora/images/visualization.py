"""Overlays, error maps and overviews of one image and its masks."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageColor, ImageDraw
from scipy import ndimage

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.images.file_mark import MASK_SOFTWARE, PICTURE_SOFTWARE, png_mark
from sam2lora.images.views import clahe_view, green_view
from sam2lora.targets import get_target
from sam2lora.types import Mask, Pixels, Place
from sam2lora.utils.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


RgbColor = tuple[int, int, int]

_PANEL_SIDE = 1000  # longer side of a panel, in pixels
_FIELD_COLOR = "#ffffff"
ERROR_COLORS = ("#3cb44b", "#e6194b", "#4363d8")
"""Colors of true positive, false positive and false negative pixels."""


def overlay(
    pixels: Pixels, masks: Mapping[str, Mask], *, opacity: float = 0.35, line: int | None = None
) -> Pixels:
    """Paint masks over an image in their targets' colors, translucent, with a solid outline.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    masks
        `(H, W)` masks by target name; painted in this order.
    opacity
        Opacity of the filling, in 0…1.
    line
        Width of the outline in pixels; by default 1/400 of the longer side.

    Returns
    -------
    `(H, W, 3)` uint8 RGB.

    Raises
    ------
    TargetError
        If a target is unknown.
    """
    width = line if line is not None else max(1, round(max(pixels.shape) / 400))
    painted = pixels.copy()
    for name, mask in masks.items():
        color = np.array(ImageColor.getrgb(get_target(name).color), dtype=np.float32)
        painted[mask] = np.rint((1 - opacity) * painted[mask] + opacity * color).astype(np.uint8)
        painted[outline(mask, width)] = color
    return painted


def draw_crosses(pixels: Pixels, places: Mapping[RgbColor, Sequence[Place]]) -> Pixels:
    """Draw points over an image as crosses whose middle stays free.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    places
        Points (x, y) in pixels by color; drawn in this order.

    Returns
    -------
    `(H, W, 3)` uint8 RGB.
    """
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    longer = max(pixels.shape)
    inner, outer, width = longer / 80, longer / 30, max(1, round(longer / 400))
    for color, points in places.items():
        for x, y in points:
            for across, down in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                ends = [(x + across * reach, y + down * reach) for reach in (inner, outer)]
                draw.line(ends, fill=color, width=width)
    return np.array(image)


def outline(mask: Mask, width: int = 1) -> Mask:
    """Return the inner border of a mask, `width` pixels wide; the image's edge is outside."""
    if width < 1:
        return np.zeros_like(mask)
    inside: Mask = ndimage.binary_erosion(mask, iterations=width)
    return mask & ~inside


def draw_errors(pixels: Pixels, prediction: Mask, reference: Mask) -> Pixels:
    """Paint prediction errors: true positives green, false positives red, false negatives blue.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    prediction, reference
        `(H, W)` bool.

    Returns
    -------
    `(H, W, 3)` uint8 RGB; the image is shown in grey under the colors.
    """
    grey = pixels.mean(axis=2, keepdims=True) * 0.6
    painted = np.repeat(grey, 3, axis=2).astype(np.uint8)
    for mask, color in zip(
        (prediction & reference, prediction & ~reference, reference & ~prediction),
        ERROR_COLORS,
        strict=True,
    ):
        painted[mask] = ImageColor.getrgb(color)
    return painted


def save_image(path: Path, pixels: Pixels | Mask) -> None:
    """Write an image, or a mask as 0 and 255, in the format of the file extension.

    A mask in PNG is marked as one: see `images.file_mark`.

    Raises
    ------
    OutputError
        If the file cannot be written; an existing file is kept.
    """
    if pixels.dtype == np.bool_:
        _save(path, pixels.astype(np.uint8) * np.uint8(255), software=MASK_SOFTWARE)
    else:
        _save(path, pixels.view(np.uint8))


def save_picture(path: Path, pixels: Pixels) -> None:
    """Write a picture drawn from an image, such as an overlay; in PNG it is marked as one.

    Raises
    ------
    OutputError
        As for `save_image`.
    """
    _save(path, pixels, software=PICTURE_SOFTWARE)


def save_figure(path: Path, figure: "Figure") -> None:
    """Write a figure as a PNG that is marked as a picture.

    Raises
    ------
    OutputError
        As for `save_image`.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Software": PICTURE_SOFTWARE})


def _save(path: Path, values: Pixels, *, software: str = "") -> None:
    mark = png_mark(software) if software else None  # other formats ignore it
    with atomic_path(path) as temporary:
        Image.fromarray(values).save(temporary, pnginfo=mark)


def save_overview(
    path: Path,
    pixels: Pixels,
    field: FieldOfView,
    *,
    title: str,
    layers: Mapping[str, Mapping[str, Mask]],
    lines: Sequence[str],
) -> None:
    """Write an overview of one image: its field of view, masks, views and measurements.

    Parameters
    ----------
    path
        PNG to write.
    pixels
        `(H, W, 3)` uint8 RGB.
    field
        Field of view of the image, drawn as a white line.
    title
        Title above the panels.
    layers
        Masks by target for each caption; one panel each.
    lines
        Lines of text under the panels.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    step = max(1, round(max(pixels.shape) / _PANEL_SIDE))
    small = _reduce(pixels, step)
    framed = small.copy()
    framed[outline(field.mask[::step, ::step], 3)] = ImageColor.getrgb(_FIELD_COLOR)
    panels: list[tuple[str, Pixels]] = [("image, field of view in white", framed)]
    for caption, masks in layers.items():
        reduced = {name: mask[::step, ::step] for name, mask in masks.items()}
        panels.append((caption, overlay(small, reduced)))
    panels += [("green channel", green_view(small)), ("CLAHE", clahe_view(small))]

    columns = 2 if len(panels) <= 4 else 3
    figure = _figure_of_panels(panels, columns=columns, title=title, lines=lines)
    save_figure(path, figure)


def _figure_of_panels(
    panels: Sequence[tuple[str, Pixels]], *, columns: int, title: str, lines: Sequence[str]
) -> "Figure":
    """Arrange images of one size in a grid with captions; all lengths are in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    edge, width, caption, head, line = 0.12, 4.6, 0.28, 0.45, 0.19
    height = width * panels[0][1].shape[0] / panels[0][1].shape[1]
    rows = -(-len(panels) // columns)
    total_width = columns * (width + edge) + edge
    foot = line * len(lines) + 2 * edge
    total_height = head + rows * (caption + height) + foot
    figure = Figure(figsize=(total_width, total_height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    left = edge / total_width
    # A file name with dollar signs would be parsed as a formula.
    plain = partial(figure.text, left, parse_math=False)
    plain(1 - edge / total_height, title, fontsize=13, weight="bold", va="top")
    for number, (text, panel) in enumerate(panels):
        row, column = divmod(number, columns)
        x, y = edge + column * (width + edge), foot + (rows - 1 - row) * (caption + height)
        bounds = (x / total_width, y / total_height, width / total_width, height / total_height)
        axes = figure.add_axes(bounds)
        axes.imshow(panel, cmap="gray", vmin=0, vmax=255)
        axes.set_title(text, fontsize=9, loc="left", pad=3, parse_math=False)
        axes.axis("off")
    plain(edge / total_height, "\n".join(lines), fontsize=8.5, family="monospace")
    return figure


def _reduce(pixels: Pixels, step: int) -> Pixels:
    """Reduce by a factor of `step` by area averaging."""
    height, width = (-(-side // step) for side in pixels.shape[:2])
    reduced = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    return np.asarray(reduced)
