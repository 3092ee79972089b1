"""Overlays as a picture, for people without a viewer that shows Segmentations."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageDraw

from dicomseg.codes import STYLES
from dicomseg.display import (
    Picture,
    body_box,
    choose_slices,
    onto_grid,
    windowed,
)
from dicomseg.measure import volumes_of
from dicomseg.page import (
    MARGIN,
    Line,
    blank,
    closing_lines,
    draw_lines,
    height_of,
    to_png,
    wrap_all,
)
from dicomseg.page_table import ROW, Cell, Table, draw_table
from dicomseg.tile import draw_tile
from dicomseg.trend import volume_text
from study.tissue import TUMOUR_TISSUES
from study.volume import Volume

COLUMNS = 4
LEAST_WIDTH = 960
"""Pixels."""
NOTHING = Line("No tumour was found.", size=20, bold=True)
REGION_ROWS = (("core", "Tumour core"), ("whole", "Whole tumour"))
SWATCH = 15
ENDS = (260, 450)
"""Where volumes end in the legend: those of the labels, those of a correction."""


def montage(
    background: Volume,
    labels: Volume,
    *,
    model_version: str,
    title: str = "",
    outline: Volume | None = None,
    slices: int = 8,
    warnings: Sequence[str] = (),
) -> bytes:
    """Slices as they are, below each the same slice with the labels over it if there are any.

    Slices are those of the labels' grid, shown by the radiological convention: the patient's right
    is at the left of the picture, the face up in axial ones, the head up in the others; letters
    say it on each side, as in (0020,0020) *Patient Orientation*. They are cropped to the body.

    Parameters
    ----------
    background
        Any image in register with the labels; it is interpolated onto their grid.
    labels
        `Tissue` values. Where there is no tumour, the page says so.
    model_version
        Burned in, with "Not for diagnosis".
    title
        Burned in; no patient data.
    outline
        Another outline, `Tissue` values on the same grid, drawn as a line: a correction.
    slices
        How many at most. They are spread over those that show tumour, else over the middle.
    warnings
        Sentences, burned in.

    Returns
    -------
    bytes
        A PNG file, the same for the same arguments.
    """
    chosen = choose_slices(labels, outline, slices)
    grey = windowed(onto_grid(background, labels.geometry))[chosen]
    drawn = outline if outline is not None else labels
    box = body_box(grey, (labels.array[chosen] > 0) | (drawn.array[chosen] > 0))
    parts = [[draw_tile(grey[n], labels.geometry, k, box) for n, k in enumerate(chosen)]]
    if labels.array.any() or drawn.array.any():
        over = [
            draw_tile(grey[n], labels.geometry, k, box, labels.array[k], _slice(outline, k))
            for n, k in enumerate(chosen)
        ]
        parts.append(over)
    width, height = parts[0][0].size
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    table = _legend(labels, outline)
    at = 3 * MARGIN + ENDS[0 if outline is None else 1]
    page_width = max(columns * width, LEAST_WIDTH)
    said = [Line(title, bold=True), *([] if labels.array.any() else [NOTHING])]
    lines = wrap_all([*said, *closing_lines(model_version, warnings)], page_width - at - MARGIN)
    below = max(ROW * len(table), height_of(lines)) + 2 * MARGIN
    top = len(parts) * rows * height
    page = blank(top + below, page_width)
    for part, tiles in enumerate(parts):
        for number, tile in enumerate(tiles):
            row, column = divmod(number, columns)
            page.paste(tile, (column * width, (len(parts) * row + part) * height))
    draw = ImageDraw.Draw(page)
    top += MARGIN
    draw_table(draw, (MARGIN, top), table, at - 2 * MARGIN)
    for number, tissue in enumerate(TUMOUR_TISSUES, start=1):
        corner = top + ROW * number + 5
        draw.rectangle((MARGIN, corner, MARGIN + SWATCH, corner + SWATCH), STYLES[tissue].rgb)
    draw_lines(draw, (at, top), lines)
    return to_png(page)


def _slice(volume: Volume | None, k: int) -> Picture | None:
    """One slice, where there is a volume."""
    return None if volume is None else volume.array[k]


def _legend(labels: Volume, outline: Volume | None) -> Table:
    """Tissues and regions with their volumes; those of a correction beside them."""
    found = [volumes_of(one) for one in (labels, outline) if one is not None]
    heading = ("Volume", "Corrected (white)")[: len(found)]
    named = [
        *((STYLES[t].label, [one.tissues[t] for one in found]) for t in TUMOUR_TISSUES),
        *((name, [one.regions[key] for one in found]) for key, name in REGION_ROWS),
    ]
    table = [
        [
            Cell("", 0),
            *(
                Cell(text, at, right=True, bold=True)
                for text, at in zip(heading, ENDS, strict=False)
            ),
        ]
    ]
    for name, volumes in named:
        texts = [f"{volume_text(volume)} mL" for volume in volumes]
        cells = [Cell(text, at, right=True) for text, at in zip(texts, ENDS, strict=False)]
        table.append([Cell(name, SWATCH + 10), *cells])
    return table
