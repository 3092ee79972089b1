"""The page with the tumour's volumes over all dates of a patient."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from dicomseg.page import (
    FAINT,
    MARGIN,
    WIDTH,
    Line,
    blank,
    closing_lines,
    draw_lines,
    height_of,
    to_png,
    wrap_all,
)
from dicomseg.page_table import ROW, Cell, Table, draw_table
from dicomseg.trend import TrendPoint, change_text, comparisons, in_order, volume_text
from dicomseg.trend_axes import REGION_COLOURS, REGION_NAMES
from dicomseg.trend_chart import CHART_HEIGHT, chart
from study.errors import RefusedError

__all__ = ["TrendPoint", "trend"]

LISTED = 40
"""Most dates that are listed; the chart shows all."""
IN_ONE_COLUMN = 20
GAP = 24
ROOM = WIDTH - 2 * MARGIN
CORRECTED = "◆"


def trend(
    points: Sequence[TrendPoint],
    *,
    model_version: str,
    title: str = "",
    warnings: Sequence[str] = (),
) -> bytes:
    """A chart of the volumes over time, the latest compared with earlier ones, and a list.

    Parameters
    ----------
    points
        One for each study, in any order. The latest is compared with the first, the best and the
        last before it (`dicomseg.trend.comparisons`).
    model_version
        Burned in, with "Not for diagnosis".
    title
        Burned in; no patient data.
    warnings
        Sentences, burned in.

    Returns
    -------
    bytes
        A PNG file, 1280 pixels wide, the same for the same arguments. One date alone gives a page
        that says that there is nothing to compare with.

    Raises
    ------
    RefusedError
        If there is no point.
    """
    if not points:
        raise RefusedError("a trend needs the volumes of one study at least, and there is none")
    ordered = in_order(points)
    head = wrap_all([Line(_headline(ordered), size=26, bold=True), Line(title, size=18)], ROOM)
    tail = wrap_all([*_notes(ordered), *closing_lines(model_version, warnings)], ROOM)
    compared, listed = _comparison(ordered), _listing(ordered)
    top = MARGIN + height_of(head) + 8
    charted = CHART_HEIGHT + GAP if compared else GAP
    tables = ROW * (len(compared) + max(len(table) for table in listed)) + 2 * GAP
    page = blank(top + charted + tables + height_of(tail) + MARGIN)
    draw = ImageDraw.Draw(page)
    draw_lines(draw, (MARGIN, MARGIN), head)
    if compared:
        page.paste(Image.fromarray(chart(ordered, WIDTH)), (0, top))
        draw_table(draw, (MARGIN, top + charted), compared, ROOM)
    top += charted + ROW * len(compared) + (GAP if compared else 0)
    width = (ROOM - 2 * GAP) // 2
    for number, table in enumerate(listed):
        draw_table(draw, (MARGIN + number * (width + 2 * GAP), top), table, width)
    draw_lines(draw, (MARGIN, page.height - MARGIN - height_of(tail)), tail)
    return to_png(page)


def _headline(points: Sequence[TrendPoint]) -> str:
    """What the page shows."""
    if len(points) == 1:
        return f"Tumour volumes on {points[0].date}: the only study, nothing to compare with"
    return f"Tumour volumes of {len(points)} studies, {points[0].date} to {points[-1].date}"


def _notes(points: Sequence[TrendPoint]) -> list[Line]:
    """What the marks mean, and what is not listed."""
    notes = []
    if len(points) > 1:
        text = "best: the smallest enhancing tumour before the latest study"
        notes.append(Line(text, colour=FAINT))
    if any(point.corrected for point in points):
        notes.append(Line(f"{CORRECTED} corrected by a person", colour=FAINT))
    if len(points) > LISTED:
        left = len(points) - LISTED
        what = "1 earlier study is" if left == 1 else f"{left} earlier studies are"
        notes.append(Line(f"{what} in the chart only", colour=FAINT))
    return notes


def _comparison(points: Sequence[TrendPoint]) -> Table:
    """The latest against first, best and last; no rows where there is no earlier one."""
    latest = points[-1]
    earlier = comparisons(points)
    if not earlier:
        return []
    columns = {region: 330 + 300 * number for number, region in enumerate(REGION_NAMES)}
    table = [
        [
            Cell("Latest against", 0, bold=True),
            *(
                Cell(REGION_NAMES[region], at, bold=True, colour=REGION_COLOURS[region])
                for region, at in columns.items()
            ),
        ],
        [
            Cell("latest", 0),
            Cell(f"{latest.date}", 190),
            *(Cell(_millilitres(latest, r), at + 84, right=True) for r, at in columns.items()),
        ],
    ]  # fmt: skip
    for comparison in earlier:
        before = comparison.point
        row = [Cell(_named(comparison.names), 0), Cell(f"{before.date}", 190)]
        for region, at in columns.items():
            change = change_text(latest.volumes_ml.get(region), before.volumes_ml.get(region))
            row += [
                Cell(_millilitres(before, region), at + 84, right=True),
                Cell(change, at + 98, bold=region == "enhancing"),
            ]
        table.append(row)
    return table


def _named(names: Sequence[str]) -> str:
    """``first, best and last``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _listing(points: Sequence[TrendPoint]) -> list[Table]:
    """All studies, the latest `LISTED` where there are more, in one table or two side by side."""
    shown = points[-LISTED:]
    first = len(shown) if len(shown) <= IN_ONE_COLUMN else -(-len(shown) // 2)
    parts = [part for part in (shown[:first], shown[first:]) if part]
    ends = {region: 210 + 92 * number for number, region in enumerate(REGION_NAMES)}
    heading = [
        Cell("Date", 0, bold=True),
        *(
            Cell(region.capitalize(), at, right=True, bold=True, colour=REGION_COLOURS[region])
            for region, at in ends.items()
        ),
        Cell("Outline", 418, bold=True),
    ]
    return [[heading, *(_row(point, ends) for point in part)] for part in parts]


def _row(point: TrendPoint, ends: dict[str, int]) -> list[Cell]:
    """A study of the list."""
    how = f"{CORRECTED} corrected" if point.corrected else f"head {point.head}"
    volumes = (Cell(_millilitres(point, region), at, right=True) for region, at in ends.items())
    return [Cell(f"{point.date}", 0), *volumes, Cell(how, 418)]


def _millilitres(point: TrendPoint, region: str) -> str:
    """A volume with its unit."""
    text = volume_text(point.volumes_ml.get(region))
    return f"{text} mL" if region in point.volumes_ml else text
