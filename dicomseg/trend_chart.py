"""The curves of a patient's volumes over time."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dicomseg.display import Picture
from dicomseg.page import FAINT, INK, PAPER, Colour
from dicomseg.trend import TrendPoint, volume_text
from dicomseg.trend_axes import HEADROOM, LEAST_ML, REGION_COLOURS, REGION_NAMES, span, ticks

CHART_HEIGHT = 560
"""Pixels."""
HEIGHTS = (1.6, 1.0, 1.0)
"""Of the regions' curves; the enhancing tumour is what is judged."""
LABELLED = 14
"""Most points that have their value written beside them."""
DPI = 100


def chart(points: Sequence[TrendPoint], width: int) -> Picture:
    """Three curves on one axis of time, each with a scale of its own from zero.

    One scale for all would press the enhancing tumour, which is judged, to the floor beside the
    edema.

    Parameters
    ----------
    points
        By date, at least one.
    width
        Pixels.

    Returns
    -------
    array
        ``(CHART_HEIGHT, width, 3)`` uint8, RGB. Corrected points are diamonds with a white edge.
    """
    figure = Figure(figsize=(width / DPI, CHART_HEIGHT / DPI), dpi=DPI, facecolor=_of(PAPER))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        3, 1, height_ratios=HEIGHTS, left=0.07, right=0.975, top=0.95, bottom=0.06, hspace=0.32
    )
    shared: Axes | None = None
    for row, region in enumerate(REGION_NAMES):
        axes = figure.add_subplot(grid[row], sharex=shared)
        shared = shared or axes
        _draw(axes, points, region)
        axes.tick_params(labelbottom=row == 2)
    buffer = BytesIO()
    figure.savefig(buffer, format="rgba", dpi=DPI, facecolor=figure.get_facecolor())
    pixels = np.frombuffer(buffer.getvalue(), np.uint8)
    return pixels.reshape(CHART_HEIGHT, -1, 4)[..., :3].copy()


def _draw(axes: Axes, points: Sequence[TrendPoint], region: str) -> None:
    """The curve of one region."""
    colour = _of(REGION_COLOURS[region])
    known = [
        (p.date.toordinal(), p.volumes_ml[region], p) for p in points if region in p.volumes_ml
    ]
    highest = max([volume for _, volume, _ in known], default=0.0)
    axes.plot([day for day, _, _ in known], [v for _, v, _ in known], color=colour, linewidth=2)
    for day, volume, point in known:
        edge, marker, size = (_of(INK), "D", 9) if point.corrected else (colour, "o", 7)
        axes.plot(
            day, volume, marker, color=colour, markersize=size, markeredgecolor=edge,
            markeredgewidth=1.6, clip_on=False, zorder=3,
        )  # fmt: skip
        if len(points) <= LABELLED:
            axes.annotate(
                volume_text(volume), (day, volume), (0, 8), textcoords="offset points",
                ha="center", fontsize=10, color=_of(INK),
            )  # fmt: skip
    axes.set_ylim(0, max(highest, LEAST_ML) * HEADROOM)
    _frame(axes, points)
    axes.set_title(
        f"{REGION_NAMES[region]} (mL)", loc="left", color=colour, fontsize=12, fontweight="bold"
    )


def _frame(axes: Axes, points: Sequence[TrendPoint]) -> None:
    """Axis of time, grid and colours."""
    first, last = span(points[0].date, points[-1].date)
    shown = ticks(first, last)
    axes.set_xlim(first.toordinal(), last.toordinal())
    axes.set_xticks([day.toordinal() for day in shown], [day.isoformat() for day in shown])
    axes.set_facecolor(_of(PAPER))
    axes.tick_params(colors=_of(INK), labelsize=10)
    axes.grid(visible=True, color=_of(FAINT), alpha=0.25, linewidth=0.8)
    for spine in axes.spines.values():
        spine.set_color(_of(FAINT))


def _of(colour: Colour) -> tuple[float, float, float]:
    """A colour as matplotlib takes it."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
