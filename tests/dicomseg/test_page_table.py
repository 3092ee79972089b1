from __future__ import annotations

import numpy as np
from burned_in import pixels_of, place_of_text
from PIL import ImageDraw

from dicomseg.page import blank, to_png, typeface
from dicomseg.page_table import Cell, draw_table


def drawn(table, width=300):
    page = blank(120, 400)
    draw_table(ImageDraw.Draw(page), (20, 10), table, width)
    return to_png(page)


def test_cells_begin_or_end_where_they_are_told():
    """Rows are 26 pixels apart."""
    png = drawn([[Cell("Date", 0, bold=True), Cell("mL", 200, right=True)], [Cell("12.5", 100)]])
    row, column = place_of_text(png, "Date", bold=True)
    assert 10 < row < 36
    assert 20 <= column <= 23
    row, column = place_of_text(png, "mL")
    assert abs(column + typeface(16).getlength("mL") - 220) <= 3
    row, column = place_of_text(png, "12.5")
    assert 36 < row < 62
    assert 120 <= column <= 123


def test_a_rule_is_below_the_heading_alone():
    """One line of the width of the table."""
    pixels = pixels_of(drawn([[Cell("a", 0)], [Cell("b", 0)], [Cell("c", 0)]]))
    ruled = np.flatnonzero((pixels[:, 20:321] == (150, 150, 150)).all(axis=(1, 2)))
    assert ruled.tolist() == [34]
    assert (pixels[34, 322:] == 16).all()


def test_what_is_too_long_is_cut():
    """Nothing is drawn outside the table."""
    pixels = pixels_of(drawn([[Cell("head " * 40, 150)], [Cell("1234567890", 30, right=True)]]))
    assert (pixels[:, 321:] == 16).all()
    assert (pixels[:, :19] == 16).all()
