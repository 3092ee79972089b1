"""One slice as a picture, as it is or with labels over it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from dicomseg.codes import STYLES
from dicomseg.display import (
    Box,
    Picture,
    display_order,
    place_of_slice,
    sides,
    turned_for_display,
)
from dicomseg.page import INK, PAPER, typeface
from study.tissue import TUMOUR_TISSUES
from study.volume import Geometry

TILE = 320
"""Longest side, in pixels."""
OPACITY = 0.3
OUTLINE = (255, 255, 255)
"""Colour of a correction's outline."""
EDGE = 4
"""Pixels from a side to what is written there."""


def draw_tile(
    grey: Picture,
    geometry: Geometry,
    k: int,
    box: Box,
    labels: Picture | None = None,
    outline: Picture | None = None,
) -> Image.Image:
    """A part of a slice with square pixels, turned for display, its sides and place named.

    Parameters
    ----------
    grey
        ``(rows, columns)``, 0 to 255.
    geometry
        Of the whole grid.
    k
        Which slice it is.
    box
        What of it is shown.
    labels
        ``(rows, columns)`` `Tissue` values, laid over it in their colours with their edges.
    outline
        The same, drawn as white edges; the labels have none of their own then.
    """
    picture = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    for tissue in TUMOUR_TISSUES if labels is not None else ():
        here = labels == tissue
        picture[here] = (1 - OPACITY) * picture[here] + OPACITY * np.array(STYLES[tissue].rgb)
    turned = turned_for_display(picture[box].round().astype(np.uint8), geometry)
    _, dy, dx = geometry.spacing
    if display_order(geometry)[0]:
        dy, dx = dx, dy
    high, wide = turned.shape[0] * dy, turned.shape[1] * dx
    scale = TILE / max(high, wide)
    size = (max(round(wide * scale), 1), max(round(high * scale), 1))
    image = Image.fromarray(turned).resize(size, Image.Resampling.BILINEAR)
    lined = labels if outline is None else outline
    if lined is not None:
        there = Image.fromarray(turned_for_display(lined[box].astype(np.uint8), geometry))
        edges = _edges(np.array(there.resize(size, Image.Resampling.NEAREST)))
        image = _with_edges(image, edges, in_colour=outline is None)
    _mark(image, geometry, k)
    return image


def _edges(labels: Picture) -> Picture:
    """The label of each pixel that touches a lower one or none; 0 elsewhere.

    A border between two labels is one line, not two.
    """
    return np.where(ndimage.minimum_filter(labels, 3) < labels, labels, 0).astype(np.uint8)


def _with_edges(image: Image.Image, edges: Picture, *, in_colour: bool) -> Image.Image:
    """Draw edges, each in the colour of its tissue or all in white."""
    pixels = np.array(image)
    for tissue in TUMOUR_TISSUES:
        pixels[edges == tissue] = STYLES[tissue].rgb if in_colour else OUTLINE
    return Image.fromarray(pixels)


def _mark(image: Image.Image, geometry: Geometry, k: int) -> None:
    """Name the four sides, and say in a corner where the slice lies."""
    draw = ImageDraw.Draw(image)
    left, right, top, bottom = sides(geometry)
    across, down = image.width // 2, image.height // 2
    for place, anchor, text, size in [
        ((EDGE, down), "lm", left, 15),
        ((image.width - EDGE, down), "rm", right, 15),
        ((across, EDGE), "ma", top, 15),
        ((across, image.height - EDGE), "md", bottom, 15),
        ((EDGE, EDGE), "la", place_of_slice(geometry, k), 13),
    ]:
        face = typeface(size)
        draw.text(place, text, INK, face, anchor=anchor, stroke_width=2, stroke_fill=PAPER)
