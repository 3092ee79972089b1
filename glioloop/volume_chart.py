"""The curves of a patient's volumes over time, as SVG for the web pages.

The picture in the archive is `dicomseg.trend_chart`; both have the same regions, colours and days.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from xml.sax.saxutils import escape

from dicomseg.trend import TrendPoint, volume_text
from dicomseg.trend_axes import HEADROOM, LEAST_ML, REGION_COLOURS, REGION_NAMES, span, ticks
from glioloop.history import Point

WIDTH, PANEL, TITLE, FOOT = 760, 110, 26, 30
LEFT, RIGHT = 12, 748
"""Of the axes, in units of the picture."""
LABELLED = 14
"""Most points that have their value written beside them."""

STYLE = (
    "text{font:12px sans-serif;fill:#ebebeb}.day{fill:#969696;text-anchor:middle}"
    ".value{text-anchor:middle}.name{font-weight:bold}.axis{stroke:#969696}"
)


def trend_point(point: Point) -> TrendPoint:
    """A point of a patient's history as the charts take it."""
    day = date(int(point.date[:4]), int(point.date[4:6]), int(point.date[6:8]))
    return TrendPoint(day, point.volumes_ml, point.corrected, point.head)


def chart(points: Sequence[TrendPoint]) -> str:
    """Three curves on one axis of time, each with a scale of its own from zero.

    Parameters
    ----------
    points
        By date. Without any, the picture says so.

    Returns
    -------
    str
        SVG. Corrected points are diamonds with a white edge, others are dots.
    """
    height = len(REGION_NAMES) * (TITLE + PANEL) + FOOT
    drawn = "".join(_panels(points)) if points else '<text x="12" y="30">no volumes yet</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
        f"<title>{escape(_in_words(points))}</title><style>{STYLE}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#101010"/>{drawn}</svg>'
    )


def _in_words(points: Sequence[TrendPoint]) -> str:
    """The same for who cannot see it."""
    told = [
        f"{point.date.isoformat()}: {volume_text(point.volumes_ml.get('enhancing'))}"
        for point in points
    ]
    return f"Enhancing tumour in mL by date. {'; '.join(told) or 'none'}"


def _panels(points: Sequence[TrendPoint]) -> Iterator[str]:
    """Each region's curve, and the days below."""
    first, last = span(points[0].date, points[-1].date)
    for number, region in enumerate(REGION_NAMES):
        top = number * (TITLE + PANEL) + TITLE
        yield _panel(points, region, top, first, last)
    below = len(REGION_NAMES) * (TITLE + PANEL) + 18
    for day in ticks(first, last):
        yield f'<text class="day" x="{_x(day, first, last)}" y="{below}">{day.isoformat()}</text>'


def _panel(points: Sequence[TrendPoint], region: str, top: int, first: date, last: date) -> str:
    """One region's curve."""
    known = [(point, point.volumes_ml[region]) for point in points if region in point.volumes_ml]
    highest = max([volume for _, volume in known], default=0.0)
    scale = PANEL / (max(highest, LEAST_ML) * HEADROOM)
    colour = "#{:02x}{:02x}{:02x}".format(*REGION_COLOURS[region])
    floor = top + PANEL
    at = [(_x(p.date, first, last), round(floor - v * scale, 1), p, v) for p, v in known]
    path = " ".join(f"{x},{y}" for x, y, _, _ in at)
    marks = "".join(_mark(x, y, colour, corrected=p.corrected) for x, y, p, _ in at)
    values = "".join(
        f'<text class="value" x="{x}" y="{y - 9}">{escape(volume_text(v))}</text>'
        for x, y, _, v in at
        if len(points) <= LABELLED
    )
    return (
        f'<text class="name" x="{LEFT}" y="{top - 8}" style="fill:{colour}">'
        f"{REGION_NAMES[region]} (mL)</text>"
        f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{floor}" y2="{floor}"/>'
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        f"{marks}{values}"
    )


def _mark(x: float, y: float, colour: str, *, corrected: bool) -> str:
    """A point of a curve."""
    if corrected:
        corners = f"M{x},{y - 6} L{x + 6},{y} L{x},{y + 6} L{x - 6},{y} Z"
        return f'<path d="{corners}" fill="{colour}" stroke="#ebebeb" stroke-width="1.6"/>'
    return f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>'


def _x(day: date, first: date, last: date) -> float:
    """Where a day lies."""
    share = (day - first).days / (last - first).days
    return round(LEFT + share * (RIGHT - LEFT), 1)
