"""What is written on a page, found again by drawing it a second time."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from dicomseg.page import INK, PAPER, typeface


def pixels_of(png: bytes) -> np.ndarray:
    """``(rows, columns, 3)`` of a PNG file."""
    with Image.open(BytesIO(png)) as image:
        return np.array(image.convert("RGB"))


def place_of_text(
    png: bytes, text: str, *, size: int = 16, bold: bool = False, colour: tuple = INK
) -> tuple[int, int] | None:
    """(row, column) of the upper left corner of a text's letters on a page; None where it is not.

    Every pixel of the letters and of the ground between them must agree.
    """
    face = typeface(size, bold=bold)
    sheet = Image.new("RGB", (round(face.getlength(text)) + 40, size * 2), PAPER)
    ImageDraw.Draw(sheet).text((20, 4), text, colour, face)
    drawn = np.array(sheet)
    inked = (drawn != PAPER).any(axis=2)
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    letters = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    page = pixels_of(png)
    high, wide = letters.shape[:2]
    # A row that begins with ink: one that begins with paper is found everywhere, and searched long.
    first = int(np.flatnonzero((letters[:, 0] != PAPER).any(axis=1))[0])
    line, every = letters[first].tobytes(), page.tobytes()
    at = every.find(line)
    while at >= 0:
        row, column = at // 3 // page.shape[1] - first, at // 3 % page.shape[1]
        found = page[max(row, 0) : row + high, column : column + wide]
        if at % 3 == 0 and np.array_equal(found, letters):
            return row, column
        at = every.find(line, at + 1)
    return None
