"""Pictures of a segmented case: whole slices with the brain mask, what was found, what is true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from converter.grid import resample
from glioloop.aligned import Aligned
from study.tissue import Role, region
from study.volume import Geometry, Volume

Mask = npt.NDArray[np.bool_]

INK, PAPER = "#e8e8e8", "#101010"
COLOURS: Mapping[str, str] = {
    "brain mask": "#35c4f0",
    "truth": "#4ce04c",
    "found: whole tumour": "#f2d43d",
    "found: enhancing": "#ff4a3d",
}
LEVELS = 7
"""Axial slices, evenly over the brain but for its outermost `END`s."""
END = 0.06
"""Part of the brain's height at either end."""


def draw_case(
    path: Path,
    aligned: Aligned,
    grid: Geometry,
    brain: Mask,
    labels: Volume | None = None,
    truth: Mapping[str, Mask] | None = None,
) -> None:
    """Write a PNG: FLAIR, T1gd and T2 below one another, axial, coronal and sagittal slices.

    Parameters
    ----------
    path
        File to write; its folder is made.
    aligned
        The images; a missing one has no row.
    grid
        Working grid of the brain mask, with the patient's axes.
    brain
        ``(D, H, W)`` bool, not empty.
    labels
        What was found, on the grid of T1gd.
    truth
        Region to mask on the grid of T1gd.
    """
    outlines = {"brain mask": [brain], **_outlines(aligned, grid, labels, truth or {})}
    images = aligned.on_grid(grid)
    roles = [
        (role, image) for role, image in zip(Role, images, strict=True) if role in aligned.volumes
    ]
    shown = _slices(brain, outlines.get("truth", [brain])[-1])
    figure = Figure(figsize=(2.1 * len(shown), 2.5 * len(roles) + 0.4), facecolor=PAPER)
    figure.subplots_adjust(0.005, 0.06, 0.995, 0.995, wspace=0.02, hspace=0.02)
    FigureCanvasAgg(figure)
    for row, (role, image) in enumerate(roles):
        bright = float(np.percentile(image[brain], 99.5)) * 1.2 or 1.0
        for column, (axis, at) in enumerate(shown):
            axes = figure.add_subplot(len(roles), len(shown), row * len(shown) + column + 1)
            # Slices grow towards the head: coronal and sagittal are drawn with the head up.
            origin: Literal["upper", "lower"] = "upper" if axis == 0 else "lower"
            axes.imshow(image.take(at, axis), cmap="gray", vmin=0, vmax=bright, origin=origin)
            for name, masks in outlines.items():
                for mask in masks:
                    if (cut := mask.take(at, axis)).any():
                        axes.contour(cut, [0.5], colors=[COLOURS[name]], linewidths=0.8)
            axes.set_axis_off()
            if column == 0:
                axes.text(0.03, 0.93, role.value, color=INK, fontsize=9, transform=axes.transAxes)
    for place, name in enumerate(outlines):
        figure.text(0.02 + 0.2 * place, 0.015, name, color=COLOURS[name], fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, facecolor=PAPER)


def _outlines(
    aligned: Aligned, grid: Geometry, labels: Volume | None, truth: Mapping[str, Mask]
) -> dict[str, list[Mask]]:
    """Masks to be drawn, on the working grid."""
    found: dict[str, list[Mask]] = {}

    def on_grid(mask: Mask) -> Mask:
        volume = Volume(mask.astype(np.float32), aligned.reference)
        return resample(volume, grid, order="nearest").array > 0.5

    if truth:
        found["truth"] = [on_grid(mask) for mask in truth.values()]
    if labels is not None:
        found["found: whole tumour"] = [on_grid(region(labels.array, "whole"))]
        found["found: enhancing"] = [on_grid(region(labels.array, "enhancing"))]
    return found


def _slices(brain: Mask, centre_of: Mask) -> list[tuple[int, int]]:
    """Axis and index of each slice: `LEVELS` axial ones, the fullest axial, coronal, sagittal."""
    levels = np.flatnonzero(brain.any(axis=(1, 2)))
    even = np.quantile(levels, np.linspace(END, 1 - END, LEVELS)).round().astype(int)
    mask = centre_of if centre_of.any() else brain
    fullest = [int(mask.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3)]
    return [(0, int(at)) for at in even] + list(enumerate(fullest))
