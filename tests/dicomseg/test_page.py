from __future__ import annotations

import numpy as np
import pytest
from burned_in import pixels_of, place_of_text
from PIL import ImageDraw

from dicomseg.page import (
    Line,
    at_most,
    blank,
    closing_lines,
    draw_lines,
    height_of,
    printable,
    to_png,
    typeface,
    wrap,
    wrap_all,
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("two\nlines\tand  more", "two lines and more"),
        ("a\x00b\x1bc", "abc"),
        ("abc\u202edcba", "abcdcba"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("A\u0308rger", "Ärger"),
        ("脳 FLAIR", "脳 FLAIR"),
        ("", ""),
        (" \n ", ""),
        ("x" * 2001, "x" * 2000 + " …"),
    ],
)
def test_what_is_drawn_of_a_text(text, kept):
    """Nothing that breaks a line, turns the direction of writing, or is no character."""
    assert printable(text) == kept


def test_no_line_is_wider_than_its_room():
    """Sixty words and one of 400 letters, of which none is lost."""
    text = "brain " * 60 + "W" * 400
    lines = wrap(Line(text, indent=30), 500)
    assert len(lines) > 10
    assert all(typeface(16).getlength(line.text) <= 470 for line in lines)
    joined = "".join(line.text for line in lines).replace(" ", "")
    assert joined == text.replace(" ", "")
    assert {line.indent for line in lines} == {30}


def test_words_stay_whole_where_they_fit():
    """Lines break between words."""
    width = round(typeface(16).getlength("one two")) + 1
    assert [line.text for line in wrap(Line("one two three"), width)] == ["one two", "three"]
    assert wrap(Line(""), 100) == []
    assert [line.text for line in wrap_all([Line("a"), Line(""), Line("b")], 100)] == ["a", "b"]


def test_a_room_narrower_than_a_letter_takes_one_letter():
    """It ends."""
    assert [line.text for line in wrap(Line("ab"), 1)] == ["a", "b"]


def test_the_first_lines_and_a_mark_that_more_follow():
    """Three lines of which two are wanted; the mark does not overflow."""
    room = round(typeface(16).getlength("lilili")) + 1
    lines = wrap(Line("lilili lilili lilili"), room)
    assert [line.text for line in at_most(lines, 3, room)] == ["lilili"] * 3
    shown = at_most(lines, 2, room)
    assert shown[0].text == "lilili"
    assert shown[1].text == "li…"
    assert typeface(16).getlength(shown[1].text) <= room


def test_lines_are_drawn_where_they_are_said_to_be():
    """Indented, one below the other; the height is the sum of the pitches 23 and 29."""
    lines = [Line("first", indent=10), Line("second", size=20, bold=True, colour=(255, 0, 0))]
    page = blank(100, 200)
    assert height_of(lines) == 52
    assert draw_lines(ImageDraw.Draw(page), (5, 20), lines) == 72
    png = to_png(page)
    row, column = place_of_text(png, "first")
    assert 20 <= row < 30
    assert 15 <= column <= 18
    row, column = place_of_text(png, "second", size=20, bold=True, colour=(255, 0, 0))
    assert 43 <= row < 52
    assert 5 <= column <= 8
    assert place_of_text(png, "third") is None


def test_every_page_ends_with_disclaimer_and_version():
    """Warnings come before."""
    lines = closing_lines("0.1.0 head base", ["T2 is missing.", "The scanner changed."])
    assert [line.text for line in lines] == [
        "Warning: T2 is missing.",
        "Warning: The scanner changed.",
        "Not for diagnosis - 0.1.0 head base",
    ]
    assert [line.text for line in closing_lines("1")] == ["Not for diagnosis - 1"]


def test_a_letter_that_the_typeface_lacks_is_a_box():
    """Two different ones look the same, and not like nothing."""
    pages = []
    for text in ("脳", "造", ""):
        page = blank(40, 40)
        draw_lines(ImageDraw.Draw(page), (5, 5), wrap(Line(text), 40))
        pages.append(pixels_of(to_png(page)))
    np.testing.assert_array_equal(pages[0], pages[1])
    assert (pages[0] != pages[2]).any()
