"""Words on a page that becomes a picture: one typeface, wrapped lines, any text.

The typeface is DejaVu Sans, which matplotlib brings along: a page is the same on every machine. It
has Latin, Greek and Cyrillic letters, and a box for what it lacks, as Japanese.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

DISCLAIMER = "Not for diagnosis"
INK = (235, 235, 235)
FAINT = (150, 150, 150)
WARNING = (255, 183, 77)
PAPER = (16, 16, 16)
WIDTH = 1280
"""Of a page, in pixels."""
MARGIN = 24
LONGEST = 2000
"""Characters of one text that are looked at; nobody reads more of it on a page."""
MOST_IN_LINE = 400
"""Characters of one line, be they as narrow as they may."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """A text in one look; `wrap` makes it as many lines as it needs."""

    text: str
    size: int = 16
    bold: bool = False
    colour: Colour = INK
    indent: int = 0
    """Pixels from the left."""

    @property
    def pitch(self) -> int:
        """Pixels from this line to the next."""
        return round(self.size * 1.45)

    @property
    def face(self) -> ImageFont.FreeTypeFont:
        """Its typeface."""
        return typeface(self.size, bold=self.bold)


@lru_cache(maxsize=32)
def typeface(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, `size` in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / name
    # The simple layout is in every Pillow; the other one depends on what the system has.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def printable(text: str) -> str:
    """A text of one line without what cannot be drawn or would reorder what is.

    White space of any kind is one space; control characters, marks of direction and lone
    surrogates are left out; at most `LONGEST` characters are kept.
    """
    kept = unicodedata.normalize("NFC", text[:LONGEST])
    if len(text) > LONGEST:
        kept += " …"
    spaced = "".join(" " if c.isspace() else c for c in kept)
    drawn = "".join(c for c in spaced if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Cn"})
    return " ".join(drawn.split())


def wrap(line: Line, width: int) -> list[Line]:
    """Lines no wider than `width` pixels; a word that is wider is broken.

    Parameters
    ----------
    line
        Any text; an empty one gives no line.
    width
        Pixels from the left edge, the indent included.
    """
    room = width - line.indent
    found: list[str] = []
    at = ""
    for word in printable(line.text).split(" "):
        for part in _parts(word, line.face, room):
            joined = f"{at} {part}" if at else part
            if at and line.face.getlength(joined) > room:
                found.append(at)
                joined = part
            at = joined
    if at:
        found.append(at)
    return [replace(line, text=text) for text in found]


def _parts(word: str, face: ImageFont.FreeTypeFont, room: float) -> list[str]:
    """A word in pieces that are no wider than the room."""
    if face.getlength(word) <= room:
        return [word]
    pieces = []
    while word:
        counts = range(1, min(len(word), MOST_IN_LINE) + 1)
        fitting = max(bisect_right(counts, room, key=lambda n: face.getlength(word[:n])), 1)
        pieces.append(word[:fitting])
        word = word[fitting:]
    return pieces


def at_most(lines: Sequence[Line], most: int, width: int) -> list[Line]:
    """The first `most` of wrapped lines; an ellipsis ends the last where more would follow."""
    if len(lines) <= most:
        return list(lines)
    last = lines[most - 1]
    text = last.text
    while text and last.face.getlength(text + "…") > width - last.indent:
        text = text[:-1]
    return [*lines[: most - 1], replace(last, text=text.rstrip() + "…")]


def wrap_all(lines: Sequence[Line], width: int) -> list[Line]:
    """`wrap` of each, one after the other."""
    return [piece for line in lines for piece in wrap(line, width)]


def height_of(lines: Sequence[Line]) -> int:
    """Pixels that wrapped lines take."""
    return sum(line.pitch for line in lines)


def draw_lines(draw: ImageDraw.ImageDraw, at: tuple[int, int], lines: Sequence[Line]) -> int:
    """Write wrapped lines below one another; where the next one goes."""
    left, top = at
    for line in lines:
        draw.text((left + line.indent, top), line.text, line.colour, line.face)
        top += line.pitch
    return top


def closing_lines(version: str, warnings: Sequence[str] = ()) -> list[Line]:
    """What every page ends with: warnings, then "Not for diagnosis" and the version."""
    said = [Line(f"Warning: {sentence}", colour=WARNING) for sentence in warnings]
    return [*said, Line(f"{DISCLAIMER} - {version}", bold=True)]


def blank(height: int, width: int = WIDTH) -> Image.Image:
    """An empty page."""
    return Image.new("RGB", (width, height), PAPER)


def to_png(page: Image.Image) -> bytes:
    """A page as a PNG file."""
    buffer = BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()
