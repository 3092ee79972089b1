"""Contact sheets: generated heads, and real cases with their truth beside them, drawn alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import ndimage

from converter.grid import resample, working_grid
from dicomseg.codes import STYLES
from engine.specimen import specimen
from glioloop.cases import Case, read_cases
from glioloop.demo_overlay import INK, PAPER
from glioloop.phantom_patients import Heads
from study.errors import RefusedError
from study.tissue import REGIONS, Role, Tissue, region
from study.volume import Volume

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

GENERATED_A_SHEET, REAL_A_SHEET = 4, 4
"""Columns of one sheet."""
MOST_SAMPLES = 200
FIELD_MM = (192.0, 224.0, 192.0)
"""Extent of a generated head (slices, rows, columns)."""
SHOWN_MM = (216.0, 184.0)
"""Rows and columns of a picture."""
ROWS = (*Role, "outlines")
_COLOURS = {"whole": Tissue.EDEMA, "core": Tissue.NECROSIS, "enhancing": Tissue.ENHANCING}


@dataclass(frozen=True, eq=False)
class Column:
    """One head on a sheet.

    Parameters
    ----------
    title
        Above the column.
    slices
        ``(rows, columns)`` of each sequence that there is: the slice with most tumour.
    outlines
        Region of `study.tissue.REGIONS` to its mask on that slice.
    spacing_mm
        Edge of a pixel.
    """

    title: str
    slices: Mapping[Role, Image]
    outlines: Mapping[str, Mask]
    spacing_mm: float


def write_sheets(
    folder: Path,
    heads: Heads,
    count: int,
    seed: int,
    beside: Sequence[Path] = (),
    spacing_mm: float = 1.0,
) -> list[Path]:
    """Write pictures of generated samples, and of real cases beside them.

    Parameters
    ----------
    folder
        Where to; it is made if it is not there.
    heads
        Where head maps come from.
    count
        How many samples. Every second one is shown without its skull.
    seed
        The same seed gives the same samples.
    beside
        Folders of cases with a known answer, as `glioloop.cases.read_cases` reads them.
    spacing_mm
        Edge of a voxel of the samples.

    Returns
    -------
    list of Path
        PNG files ``sheet-1.png``, ... of `GENERATED_A_SHEET` samples and `REAL_A_SHEET` cases each.

    Raises
    ------
    RefusedError
        If the count is out of range, or a folder holds no cases.
    """
    if not 1 <= count <= MOST_SAMPLES:
        raise RefusedError(f"--pictures is from 1 to {MOST_SAMPLES}, not {count}")
    real = [real_column(case) for path in beside for case in read_cases(path)]
    made = [
        generated_column(heads, seed, number, spacing_mm, stripped=number % 2 == 0)
        for number in range(1, count + 1)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, columns in enumerate(_sheets(made, real), start=1):
        paths.append(folder / f"sheet-{number}.png")
        draw_sheet(paths[-1], columns)
    return paths


def generated_column(
    heads: Heads, seed: int, number: int, spacing_mm: float, *, stripped: bool
) -> Column:
    """One sample of the generator; `number` and `seed` name it."""
    rng = np.random.default_rng((seed, number))
    slices, rows, columns = (round(extent / spacing_mm) for extent in FIELD_MM)
    sample = specimen(heads(rng), (slices, rows, columns), spacing_mm, rng)
    images = sample.images * sample.brain if stripped else sample.images
    regions = {name: region(sample.labels, name) for name in REGIONS}
    by_role = dict(zip(Role, images, strict=True))
    return _column(f"generated {number}", by_role, regions, spacing_mm)


def real_column(case: Case) -> Column:
    """A real case on an upright grid of 1 mm."""
    reference = case.volumes[Role.T1GD]
    grid = working_grid(reference.geometry, 1.0)
    images = {role: resample(volume, grid).array for role, volume in case.volumes.items()}
    masks = {
        name: resample(Volume(mask.astype(np.float32), reference.geometry), grid).array > 0.5
        for name, mask in case.truth.items()
    }
    return _column(case.name, images, masks, 1.0)


def draw_sheet(path: Path, columns: Sequence[Column]) -> None:
    """Write one PNG: a row for each sequence, and one of T1gd with outlines."""
    figure = Figure(figsize=(2.2 * len(columns), 2.55 * len(ROWS)), facecolor=PAPER)
    figure.subplots_adjust(
        left=0.005, right=0.995, bottom=0.005, top=0.965, wspace=0.02, hspace=0.02
    )
    FigureCanvasAgg(figure)
    for across, column in enumerate(columns):
        for down, row in enumerate(ROWS):
            axes = figure.add_subplot(
                len(ROWS), len(columns), 1 + across + down * len(columns), facecolor=PAPER
            )
            axes.set_xticks([])
            axes.set_yticks([])
            if down == 0:
                axes.set_title(column.title, color=INK, fontsize=8)
            _draw_picture(axes, column, row)
    figure.savefig(path, dpi=110, facecolor=PAPER)


def _sheets(made: Sequence[Column], real: Sequence[Column]) -> Iterator[list[Column]]:
    """Group columns in sheets; where real cases run out, they begin anew."""
    for number, first in enumerate(range(0, len(made), GENERATED_A_SHEET)):
        shown = min(REAL_A_SHEET, len(real))
        cases = [real[(number * REAL_A_SHEET + n) % len(real)] for n in range(shown)]
        yield [*made[first : first + GENERATED_A_SHEET], *cases]


def _column(
    title: str, images: Mapping[Role, Image], masks: Mapping[str, Mask], spacing_mm: float
) -> Column:
    """Cut out the slice with most tumour, centred on the head."""
    area = sum((mask.sum(axis=(1, 2)) for mask in masks.values()), np.zeros(1, np.int64))
    reference = images[Role.T1GD]
    k = int(area.argmax()) if area.any() else len(reference) // 2
    smooth = ndimage.uniform_filter(reference[k], 5)
    inside = smooth > 0.15 * np.percentile(smooth, 99.0)
    where = np.argwhere(inside) if inside.any() else np.argwhere(np.ones_like(inside))
    middle = (where.min(0) + where.max(0)) / 2.0
    size = [round(extent / spacing_mm) for extent in SHOWN_MM]
    low = [round(float(m) - n / 2) for m, n in zip(middle, size, strict=True)]

    def cut(plane: Image) -> Image:
        # As much black on every side as is shown: no window reaches beyond.
        padded = np.pad(plane, [(n, n) for n in size])
        return padded[tuple(slice(a + n, a + 2 * n) for a, n in zip(low, size, strict=True))]

    slices = {role: cut(image[k]) for role, image in images.items()}
    outlines = {name: cut(mask[k].astype(np.float32)) > 0.5 for name, mask in masks.items()}
    return Column(title, slices, outlines, spacing_mm)


def _draw_picture(axes: Axes, column: Column, row: Role | str) -> None:
    """One sequence of one head, or T1gd with outlines."""
    role = Role.T1GD if row == "outlines" else Role(row)
    image = column.slices.get(role)
    if image is None:
        axes.text(0.5, 0.5, f"no {role}", color=INK, ha="center", transform=axes.transAxes)
        return
    bright = float(np.percentile(image[image > 0], 99.5)) if (image > 0).any() else 1.0
    axes.imshow(image, cmap="gray", vmin=0.0, vmax=bright, interpolation="nearest")
    if row != "outlines":
        axes.text(0.02, 0.02, role.value, color=INK, fontsize=6, transform=axes.transAxes)
        return
    for name, tissue in _COLOURS.items():
        mask = column.outlines.get(name)
        if mask is not None and mask.any() and not mask.all():
            colour = tuple(part / 255 for part in STYLES[tissue].rgb)
            axes.contour(mask, [0.5], colors=[colour], linewidths=0.8)
