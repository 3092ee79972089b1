"""Overlays as a picture, for people without a viewer that shows Segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from dicomseg.codes import STYLES
from dicomseg.display import (
    Picture,
    choose_slices,
    display_order,
    onto_grid,
    turned_for_display,
    windowed,
)
from dicomseg.measure import volumes_of
from study.tissue import TUMOUR_TISSUES
from study.volume import Geometry, Volume

DISCLAIMER = "Not for diagnosis"
TILE = 320
"""Longest side of one slice, in pixels."""
OPACITY = 0.45
OUTLINE = (255, 255, 255)
"""Colour of a correction's outline."""
INK = (235, 235, 235)
PAPER = (16, 16, 16)


def montage(
    background: Volume,
    labels: Volume,
    *,
    model_version: str,
    title: str = "",
    outline: Volume | None = None,
    slices: int = 8,
) -> bytes:
    """Slices with the labels over them.

    Slices are those of the labels' grid, shown by the radiological convention: the patient's right
    is at the left of the picture, the face up in axial ones, the head up in the others.

    Parameters
    ----------
    background
        Any image in register with the labels; it is interpolated onto their grid.
    labels
        `Tissue` values.
    model_version
        Burned in, with "Not for diagnosis".
    title
        Burned in; no patient data.
    outline
        Another outline, `Tissue` values on the same grid, drawn as a line: a correction.
    slices
        How many at most. They are spread over those that show tumour, else over the middle.

    Returns
    -------
    bytes
        A PNG file.
    """
    chosen = choose_slices(labels, outline, slices)
    grey = windowed(onto_grid(background, labels.geometry))
    tiles = [_tile(grey[k], labels, outline, k) for k in chosen]
    columns = min(4, len(tiles))
    rows = -(-len(tiles) // columns)
    width = max(tile.width for tile in tiles)
    height = max(tile.height for tile in tiles)
    legend = 22 * 5 + 12
    sheet = Image.new("RGB", (max(columns * width, 560), rows * height + legend), PAPER)
    for number, tile in enumerate(tiles):
        sheet.paste(tile, ((number % columns) * width, (number // columns) * height))
    _legend(sheet, rows * height, labels, outline, [title, f"{DISCLAIMER} - {model_version}"])
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _tile(grey: Picture, labels: Volume, outline: Volume | None, k: int) -> Image.Image:
    """One slice as a picture with square pixels."""
    picture = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    for tissue in TUMOUR_TISSUES:
        here = labels.array[k] == tissue
        picture[here] = (1 - OPACITY) * picture[here] + OPACITY * np.array(STYLES[tissue].rgb)
    turned = turned_for_display(picture, labels.geometry)
    exchange = display_order(labels.geometry)[0]
    _, dy, dx = labels.geometry.spacing
    if exchange:
        dy, dx = dx, dy
    scale = TILE / max(turned.shape[0] * dy, turned.shape[1] * dx)
    size = (round(turned.shape[1] * dx * scale), round(turned.shape[0] * dy * scale))
    image = Image.fromarray(turned.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    if outline is not None:
        drawn = Image.fromarray(
            turned_for_display(outline.array[k].astype(np.uint8), labels.geometry)
        )
        pixels = np.array(image)
        pixels[_edges(np.array(drawn.resize(size, Image.Resampling.NEAREST)))] = OUTLINE
        image = Image.fromarray(pixels)
    _mark(image, labels.geometry, k)
    return image


def _edges(labels: Picture) -> npt.NDArray[np.bool_]:
    """Pixels of each label that touch another one."""
    low, high = ndimage.minimum_filter(labels, 3), ndimage.maximum_filter(labels, 3)
    return np.asarray((low != high) & (labels > 0))


def _mark(image: Image.Image, geometry: Geometry, k: int) -> None:
    """Write the number of the slice and the side at its left."""
    across = int(np.argmax(np.abs(geometry.affine[:3, 0] / geometry.spacing[0])))
    draw = ImageDraw.Draw(image)
    draw.text(
        (4, image.height // 2 - 8),
        "A" if across == 0 else "R",
        INK,
        _font(15),
        stroke_width=2,
        stroke_fill=PAPER,
    )
    draw.text(
        (4, 2), f"{k + 1}/{geometry.shape[0]}", INK, _font(13), stroke_width=2, stroke_fill=PAPER
    )


def _legend(
    sheet: Image.Image, top: int, labels: Volume, outline: Volume | None, lines: Sequence[str]
) -> None:
    """Colours with volumes, and lines of text, below the slices."""
    draw = ImageDraw.Draw(sheet)
    found = volumes_of(labels).tissues
    drawn = volumes_of(outline).tissues if outline is not None else None
    at = top + 6
    for tissue in TUMOUR_TISSUES:
        draw.rectangle((8, at + 3, 22, at + 17), STYLES[tissue].rgb)
        text = f"{STYLES[tissue].label}: {found[tissue]:.1f} mL"
        if drawn is not None:
            text += f"   corrected (white line): {drawn[tissue]:.1f} mL"
        draw.text((30, at), text, INK, _font(15))
        at += 22
    for line in (text for text in lines if text):
        draw.text((8, at), line, INK, _font(15))
        at += 22


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(size)
