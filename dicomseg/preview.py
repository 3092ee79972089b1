"""Overlays as a picture, for people without a viewer that shows Segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from dicomseg.codes import STYLES
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

Picture = npt.NDArray[np.uint8]


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
    grey = _windowed(_onto(background, labels.geometry))
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


def choose_slices(labels: Volume, outline: Volume | None, count: int) -> list[int]:
    """Indices of at most `count` slices: spread over the tumour, the fullest always among them."""
    shown = labels.array > 0 if outline is None else (labels.array > 0) | (outline.array > 0)
    area = shown.sum(axis=(1, 2))
    filled = np.flatnonzero(area)
    if not len(filled):
        depth = labels.geometry.shape[0]
        filled = np.arange(depth // 4, max(depth - depth // 4, depth // 4 + 1))
    picked = filled[np.unique(np.linspace(0, len(filled) - 1, count).round().astype(int))]
    fullest = int(np.argmax(area))
    if area.any() and fullest not in picked:
        picked[np.argmin(np.abs(picked - fullest))] = fullest
    return [int(k) for k in np.unique(picked)]


def display_order(geometry: Geometry) -> tuple[bool, bool, bool]:
    """How a slice is turned for display.

    The reversals apply after the exchange. Columns of the picture run to the patient's left, or to
    the back where the slice is sagittal; rows run to the back in axial slices, else to the feet.

    Returns
    -------
    tuple of bool
        Whether to exchange rows and columns, then to reverse rows, and columns.
    """
    steps = geometry.affine[:3, :3] / np.array(geometry.spacing)
    across = int(np.argmax(np.abs(np.cross(steps[:, 1], steps[:, 2]))))
    rightward, down = {0: (1, 2), 1: (0, 2), 2: (0, 1)}[across]
    exchange = bool(abs(steps[down, 2]) > abs(steps[down, 1]))
    rows, columns = (2, 1) if exchange else (1, 2)
    # z grows towards the head, and pictures grow downwards.
    wanted_down = -1.0 if down == 2 else 1.0
    upside_down = bool(steps[down, rows] * wanted_down < 0)
    return exchange, upside_down, bool(steps[rightward, columns] < 0)


def _onto(volume: Volume, geometry: Geometry) -> npt.NDArray[np.float32]:
    """A volume on another grid, linearly interpolated."""
    array = volume.array.astype(np.float32)
    if volume.geometry.same_grid(geometry):
        return array
    matrix = np.linalg.inv(volume.geometry.affine) @ geometry.affine
    moved = ndimage.affine_transform(
        array, matrix[:3, :3], matrix[:3, 3], output_shape=geometry.shape, order=1
    )
    return np.asarray(moved, np.float32)


def _windowed(array: npt.NDArray[np.float32]) -> Picture:
    """Grey values 0 to 255 between the 1st and the 99.5th percentile of what is not air."""
    tissue = array[array > array.min() + 0.05 * float(np.ptp(array))]
    if not tissue.size:
        return np.zeros(array.shape, np.uint8)
    low, high = min(0.0, float(tissue.min())), float(np.percentile(tissue, 99.5))
    return np.asarray(np.clip((array - low) / max(high - low, 1e-6), 0, 1) * 255, np.uint8)


def _tile(grey: Picture, labels: Volume, outline: Volume | None, k: int) -> Image.Image:
    """One slice as a picture with square pixels."""
    picture = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    for tissue in TUMOUR_TISSUES:
        here = labels.array[k] == tissue
        picture[here] = (1 - OPACITY) * picture[here] + OPACITY * np.array(STYLES[tissue].rgb)
    turned = _turned(picture, labels.geometry)
    exchange = display_order(labels.geometry)[0]
    _, dy, dx = labels.geometry.spacing
    if exchange:
        dy, dx = dx, dy
    scale = TILE / max(turned.shape[0] * dy, turned.shape[1] * dx)
    size = (round(turned.shape[1] * dx * scale), round(turned.shape[0] * dy * scale))
    image = Image.fromarray(turned.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    if outline is not None:
        drawn = Image.fromarray(_turned(outline.array[k].astype(np.uint8), labels.geometry))
        pixels = np.array(image)
        pixels[_edges(np.array(drawn.resize(size, Image.Resampling.NEAREST)))] = OUTLINE
        image = Image.fromarray(pixels)
    _mark(image, labels.geometry, k)
    return image


def _turned(picture: npt.NDArray[np.generic], geometry: Geometry) -> npt.NDArray[np.generic]:
    """A slice as `display_order` says."""
    exchange, up_down, left_right = display_order(geometry)
    turned = np.swapaxes(picture, 0, 1) if exchange else picture
    turned = turned[::-1] if up_down else turned
    return np.ascontiguousarray(turned[:, ::-1] if left_right else turned)


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
