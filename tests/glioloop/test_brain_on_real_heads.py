"""The brain mask on real heads: no eye, hardly any scalp. Nobody outlined the brain there.

What is known was noted by a person who looked at the images: where the eyeballs are. Scalp is
recognised by what it is: within a centimetre of the air, and bright by its fat on T1gd. A mask that
bulges into the scalp has 3 % of it; the outermost 6 mm at 1.5 times the brain's brightness would
still have said 0.2 % of such a one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from converter.grid import resample, working_grid
from glioloop.aligned import Aligned, align_volumes, brain_of
from glioloop.cases import Case, read_cases
from glioloop.networks import Networks, Options, prepare_networks
from glioloop.pictures import draw_case
from study.tissue import Role
from study.volume import Geometry, Volume

EYES = {
    "PGBM-001 19911119": ((-42.7, -80.4, -4.5), (29.1, -87.8, -1.9)),
    "PGBM-001 19920402": ((-34.1, -81.9, -4.6), (38.0, -82.5, 0.0)),
    "PGBM-003 19950329": ((-38.7, -42.1, 20.4), (28.6, -45.5, 21.1)),
    "PGBM-003 19951017": ((-31.3, -121.8, -3.3), (37.9, -123.1, -3.2)),
}
"""Centres of the eyeballs, LPS in mm, read off the T2 slices."""
FURTHER = {"PGBM-001 19920402", "PGBM-003 19950329"}
"""Other dates of the same patients, for make test-slow."""
EYE_MM = 10.0
"""An eyeball has a radius of 12 mm."""
SCALP_MM, FAT = 10.0, 1.3
"""Scalp is less deep than this, and on T1gd brighter than so many times the median of the brain."""
AIR = 0.25
"""Below this part of the median of the brain it is air, or bone, which the silhouette encloses."""
MOST_SCALP = 0.005
SPACING_MM = 2.0


@pytest.fixture(scope="module")
def cases(real_data: Path) -> dict[str, Case]:
    folder = real_data / "longitudinal"
    found = [
        case for patient in sorted({n[:8] for n in EYES}) for case in read_cases(folder / patient)
    ]
    return {case.name: case for case in found}


@pytest.fixture(scope="module")
def networks() -> Networks:
    return prepare_networks(Options(threads=1))


def ball(grid: Geometry, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """Voxels of a grid whose centre lies in a ball."""
    axes = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
    apart = grid.world(np.stack(axes, axis=-1)) - np.array(centre)
    return np.asarray(np.linalg.norm(apart, axis=-1) <= radius)


def scalp(t1gd: Volume, grid: Geometry, brain: np.ndarray) -> np.ndarray:
    """Bright voxels near the air. What lies beyond the slices is not known to be air."""
    image = resample(t1gd, grid).array
    seen = resample(t1gd.with_array(np.ones_like(t1gd.array)), grid, order="nearest").array > 0.5
    median = np.median(image[ndimage.binary_erosion(brain, iterations=5)])
    head = ndimage.binary_closing(image > AIR * median, iterations=2)
    head = np.stack([ndimage.binary_fill_holes(level) for level in head])
    parts, _ = ndimage.label(head)
    head = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    depth = ndimage.distance_transform_edt(~(seen & ~head), sampling=grid.spacing)
    return np.asarray(head & (depth <= SCALP_MM) & (image > FAT * median))


def sphere_head() -> tuple[Volume, np.ndarray]:
    """Brain of 50 mm radius in a skull of 10 mm in fat of 10 mm, at 2 mm."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    grid = Geometry((80, 80, 80), affine, "1.2")
    radius = np.linalg.norm(np.stack(np.indices(grid.shape), -1) * 2.0 - 80.0, axis=-1)
    image = np.select([radius < 50, radius < 60, radius < 70], [100.0, 10.0, 250.0])
    return Volume(image, grid), radius


@pytest.mark.parametrize(("reach", "expected"), [(50.0, 0.0), (66.0, 1 - (60 / 66) ** 3)])
def test_scalp_is_recognised_where_it_is_known(reach: float, expected: float) -> None:
    """A ball of 66 mm has all beyond 60 mm, a quarter of its volume, in the fat."""
    image, radius = sphere_head()
    brain = radius < reach
    part = (scalp(image, image.geometry, brain) & brain).sum() / brain.sum()
    assert part == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in FURTHER else []) for n in EYES],
)
def test_the_mask_holds_no_eye_and_hardly_any_scalp(
    name: str,
    cases: dict[str, Case],
    networks: Networks,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = cases[name]
    aligned: Aligned = align_volumes(case.volumes)
    grid = working_grid(aligned.reference, SPACING_MM)
    brain = brain_of(aligned, grid, networks)
    picture = tmp_path / f"{name.replace(' ', '_')}.png"
    draw_case(picture, aligned, grid, brain, truth=case.truth)
    eyes = [int((brain & ball(grid, eye, EYE_MM)).sum()) for eye in EYES[name]]
    part = (scalp(case.volumes[Role.T1GD], grid, brain) & brain).sum() / brain.sum()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}: {brain.sum() * grid.voxel_volume_ml:.0f} mL, {100 * part:.2f} % scalp,"
            f" {eyes} voxels in the eyes, {picture}\n"
        )
    assert eyes == [0, 0]
    assert part < MOST_SCALP
