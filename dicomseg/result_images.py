"""Where the images lie on which a result was drawn, as its own Segmentation tells.

Some writers say of a frame only on which image it was drawn. The result names all images of its
series, slice by slice, and says of some of them where they lie.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dicomseg.attributes import first_item, items_of, text_of
from dicomseg.facts import facts_of
from dicomseg.lattice import SAME_VOXEL
from dicomseg.opening import open_seg
from dicomseg.planes import Plane
from study.volume import Geometry


def result_images(encoded: Path | bytes, grid: Geometry) -> dict[str, Plane]:
    """Planes of the images of a result's series.

    Parameters
    ----------
    encoded
        A Segmentation that `dicomseg.write.write_seg` wrote.
    grid
        Of the labels in it.

    Returns
    -------
    dict
        SOP Instance UID to plane; empty where the series is one multi-frame image, or where the
        images that are known to lie somewhere do not settle the rest.

    Raises
    ------
    RefusedError
        If the file cannot be read.
    """
    dataset = open_seg(encoded, pixels=False)
    facts = facts_of(dataset)
    series = first_item(dataset, "ReferencedSeriesSequence")
    named = items_of(series, "ReferencedInstanceSequence") if series else []
    uids = [text_of(item, "ReferencedSOPInstanceUID") for item in named]
    known = {f.image_uid: f.plane for f in facts.frames if f.plane and f.image_uid in uids}
    if len(uids) != grid.shape[0] or not known:
        return {}
    # The result has the images in the order of its slices, from either end of the grid.
    steps = (grid.affine[:3, 0], -grid.affine[:3, 0])
    fitting = [found for step in steps if (found := _along(step, uids, known, grid))]
    return fitting[0] if len(fitting) == 1 else {}


def _along(
    step: np.ndarray, uids: list[str], known: dict[str, Plane], grid: Geometry
) -> dict[str, Plane] | None:
    """Planes that follow each other by a step; None where a known one or the grid disagrees."""
    at = {uid: k for k, uid in enumerate(uids)}
    uid, plane = next(iter(known.items()))
    first = np.array(plane.position) - at[uid] * step
    found = {}
    for k, other in enumerate(uids):
        x, y, z = first + k * step
        found[other] = Plane((float(x), float(y), float(z)), plane.orientation, plane.spacing)
    index = grid.index([p.position for p in found.values()])[:, 0]
    apart = [
        np.abs(grid.index(found[u].position) - grid.index(p.position)).max()
        for u, p in known.items()
    ]
    inside = index.min() > -SAME_VOXEL and index.max() < grid.shape[0] - 1 + SAME_VOXEL
    return found if inside and max(apart) <= SAME_VOXEL else None
