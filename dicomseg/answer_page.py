"""The page that says why a study was not segmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import ImageDraw

from dicomseg.page import (
    FAINT,
    MARGIN,
    WIDTH,
    Line,
    at_most,
    blank,
    closing_lines,
    draw_lines,
    height_of,
    to_png,
    wrap,
    wrap_all,
)

HEIGHT = 960
"""Of the page, in pixels."""
HEADLINES = 4
"""Most lines of the headline."""
BULLET, INDENT = "•", 28


def answer(headline: str, sentences: Sequence[str], *, version: str) -> bytes:
    """One page of text.

    Parameters
    ----------
    headline
        What happened, in few words: "Not segmented: no FLAIR among 14 series".
    sentences
        Why, and what can be done, one item each; no patient data. What does not fit is left out,
        from the end, and the page says how many there are more.
    version
        Burned in, with "Not for diagnosis".

    Returns
    -------
    bytes
        A PNG file of 1280 by 960 pixels, the same for the same arguments.

    Notes
    -----
    Any text can be given: control characters are left out, and letters that the typeface lacks
    are drawn as boxes (`dicomseg.page`).
    """
    room = WIDTH - 2 * MARGIN
    head = at_most(wrap(Line(headline, size=34, bold=True), room), HEADLINES, room)
    tail = wrap_all(closing_lines(version), room)
    top, bottom = MARGIN + height_of(head) + 20, HEIGHT - MARGIN - height_of(tail)
    page = blank(HEIGHT)
    draw = ImageDraw.Draw(page)
    draw_lines(draw, (MARGIN, MARGIN), head)
    body = [wrap(Line(text, size=22, indent=INDENT), room) for text in sentences]
    for paragraph in _fitting([p for p in body if p], bottom - top):
        if paragraph[0].indent:
            draw.text((MARGIN, top), BULLET, paragraph[0].colour, paragraph[0].face)
        top = draw_lines(draw, (MARGIN, top), paragraph) + 10
    draw.line((MARGIN, bottom - 10, WIDTH - MARGIN, bottom - 10), FAINT)
    draw_lines(draw, (MARGIN, bottom), tail)
    return to_png(page)


def _fitting(paragraphs: Sequence[list[Line]], height: int) -> list[list[Line]]:
    """Paragraphs that fit, and a line that says how many more there are.

    Of the first one, as much is shown as fits.
    """
    more = Line("", size=22, colour=FAINT)
    shown: list[list[Line]] = []
    left = height - 20
    for number, paragraph in enumerate(paragraphs):
        needed = height_of(paragraph) + 10
        is_last = number == len(paragraphs) - 1
        if needed <= left - (0 if is_last else more.pitch):
            shown.append(paragraph)
            left -= needed
            continue
        if not shown:
            most = (left - more.pitch - 10) // paragraph[0].pitch
            shown.append(at_most(paragraph, most, WIDTH - 2 * MARGIN))
            number += 1  # noqa: PLW2901
        if number < len(paragraphs):
            shown.append([replace(more, text=f"and {len(paragraphs) - number} more")])
        break
    return shown
