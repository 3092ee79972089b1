"""A picture of a result: the T1gd slice that shows most of it, with outlines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dicomseg.codes import STYLES
from glioloop.demo_studies import Masks
from study.tissue import TUMOUR_TISSUES
from study.volume import Volume

INK, PAPER = "#e8e8e8", "#101010"


def draw(path: Path, image: Volume, ours: Masks, known: Masks, title: str) -> None:
    """Write a PNG: the slice, our segments on it, and beside them what is known.

    Parameters
    ----------
    path
        File to write.
    image
        The series that the masks lie on.
    ours
        What the SEG outlines.
    known
        What an expert outlined; empty if nobody did.
    title
        Above the picture. No patient's name: pictures get passed on.
    """
    shown = most_of(known if any(m.any() for m in known.values()) else ours, image)
    panels = [("T1gd", {}), ("Glioloop", ours)] + ([("reference", known)] if known else [])
    figure = Figure(figsize=(3.6 * len(panels), 4.9), facecolor=PAPER)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.07, top=0.87, wspace=0.02)
    FigureCanvasAgg(figure)
    bright = float(np.percentile(image.array[shown], 99.7)) or 1.0
    _, rows, columns = image.geometry.spacing
    for place, (name, masks) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        axes.imshow(image.array[shown], cmap="gray", vmin=0, vmax=bright, aspect=rows / columns)
        for tissue in TUMOUR_TISSUES:
            if tissue in masks and masks[tissue][shown].any():
                colour = tuple(part / 255 for part in STYLES[tissue].rgb)
                axes.contour(masks[tissue][shown], [0.5], colors=[colour], linewidths=1.4)
        axes.set_title(name, color=INK, fontsize=11)
        axes.set_axis_off()
    for place, tissue in enumerate(TUMOUR_TISSUES):
        colour = tuple(part / 255 for part in STYLES[tissue].rgb)
        figure.text(0.3 + 0.2 * place, 0.02, STYLES[tissue].label, color=colour, ha="center")
    figure.suptitle(title, color=INK, fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, facecolor=PAPER)


def most_of(masks: Masks, image: Volume) -> int:
    """The slice with the most voxels of any mask; the middle one where all are empty."""
    area: npt.NDArray[np.int64] = np.zeros(image.geometry.shape[0], np.int64)
    for mask in masks.values():
        area += mask.sum(axis=(1, 2))
    return int(area.argmax()) if area.any() else image.geometry.shape[0] // 2
