"""Tables on a page."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import ImageDraw

from dicomseg.page import FAINT, INK, Colour, Line, at_most, wrap

ROW = 26
"""Height of a row, in pixels."""
SIZE = 16


@dataclass(frozen=True)
class Cell:
    """A text in a row of a table."""

    text: str
    at: int
    """Pixels from the left of the table."""
    right: bool = False
    """Whether the text ends there, instead of beginning."""
    bold: bool = False
    colour: Colour = INK


Table = list[list[Cell]]
"""Rows of cells; the first is the heading."""


def draw_table(draw: ImageDraw.ImageDraw, at: tuple[int, int], table: Table, width: int) -> None:
    """Rows below one another, a rule below the first; what is too long for its room is cut."""
    left, top = at
    for number, row in enumerate(table):
        for cell in row:
            line = Line(cell.text, SIZE, cell.bold, cell.colour)
            room = cell.at if cell.right else width - cell.at
            for shown in at_most(wrap(line, room), 1, room):
                place = (left + cell.at, top + 4)
                anchor = "ra" if cell.right else "la"
                draw.text(place, shown.text, shown.colour, shown.face, anchor=anchor)
        top += ROW
        if not number:
            draw.line((left, top - 2, left + width, top - 2), FAINT)
