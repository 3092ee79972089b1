"""What a person draws over a result before it is saved, and what is to be read of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dicomseg.codes import STYLES
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Geometry
from viewers.scene import RESULT_GRID, Scene

Labels = npt.NDArray[np.uint8]

TISSUE_CODE = ("85756007", "SCT", "Tissue")
"""The code that viewers give to whatever they know no better of."""
PRIMARIES = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 255))
"""Colours that viewers give to the first segments."""


@dataclass(frozen=True)
class Segment:
    """How a viewer calls a segment."""

    label: str
    code: tuple[str, str, str] = TISSUE_CODE
    rgb: tuple[int, int, int] | None = None
    """The viewer's own where it is None."""


OURS: Mapping[int, Segment] = {
    int(t): Segment(STYLES[t].label, tuple(STYLES[t].type_code), STYLES[t].rgb)
    for t in TUMOUR_TISSUES
}
"""As the result has them."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a viewer saves, and what it means."""

    truth: Labels
    """Labels of the result's grid that are to be read, where it is read."""
    layers: tuple[Labels, ...]
    """Segment numbers; several arrays where segments overlap."""
    geometry: Geometry
    segments: Mapping[int, Segment]
    grid: str = RESULT_GRID
    """The series that the viewer refers to."""

    def colour(self, number: int) -> tuple[int, int, int]:
        """(red, green, blue) of a segment."""
        own = sorted(self.segments).index(number)
        return self.segments[number].rgb or PRIMARIES[own]


class Order(NamedTuple):
    """A drawing to be saved."""

    drawing: Drawing
    encoding: str
    """As the tool's `ENCODINGS` call it."""


def drawn(scene: Scene, labels: Labels, segments: Mapping[int, Segment] = OURS) -> Drawing:
    """Labels on the result's grid, read as they are."""
    return Drawing(labels, (labels,), scene.labels.geometry, segments)


def brushed(labels: Labels) -> Labels:
    """Some enhancing pixels more, a bite out of the edema, and a new focus."""
    found = labels.copy()
    disc = np.zeros((1, 3, 3), bool)
    disc[0, 1], disc[0, :, 1] = True, True
    grown = ndimage.binary_dilation(labels == Tissue.ENHANCING, disc)
    found[grown & (labels != Tissue.NECROSIS)] = Tissue.ENHANCING
    edema = np.argwhere(found == Tissue.EDEMA)
    bite = edema[edema[:, 1] < np.quantile(edema[:, 1], 0.3)]
    found[tuple(bite.T)] = Tissue.BACKGROUND
    k = int(edema[:, 0].mean())
    found[k : k + 2, 20:24, 30:35] = Tissue.EDEMA
    return found


def _brush(scene: Scene) -> Drawing:
    return drawn(scene, brushed(scene.labels.array))


def _named(*labels: str, codes: bool = False, colours: bool = False) -> Callable[[Scene], Drawing]:
    """The brush's drawing, with other names, and with our codes or colours or neither."""

    def edit(scene: Scene) -> Drawing:
        segments = {
            number: Segment(
                label, ours.code if codes else TISSUE_CODE, ours.rgb if colours else None
            )
            for label, (number, ours) in zip(labels, OURS.items(), strict=True)
        }
        return replace(_brush(scene), segments=segments)

    return edit


def _renumbered(scene: Scene) -> Drawing:
    """Edema first, enhancing second, necrosis third."""
    drawing, new = _brush(scene), {0: 0, 2: 1, 3: 2, 1: 3}
    layer = np.vectorize(new.get, otypes=[np.uint8])(drawing.truth)
    return replace(
        drawing, layers=(layer,), segments={new[n]: OURS[n] for n in sorted(OURS, key=new.get)}
    )


def _necrosis_erased(scene: Scene) -> Drawing:
    labels = brushed(scene.labels.array)
    labels[labels == Tissue.NECROSIS] = Tissue.ENHANCING
    return drawn(scene, labels)


def _edema_gone(scene: Scene) -> Drawing:
    """Most of the outline is absent: that was rather not drawn than erased, and keeps its place."""
    before, now = scene.labels.array, brushed(scene.labels.array)
    layer = np.where(now == Tissue.EDEMA, 0, now).astype(np.uint8)
    truth = np.where((layer == 0) & (before == Tissue.EDEMA), before, layer).astype(np.uint8)
    segments = {n: OURS[n] for n in (Tissue.NECROSIS, Tissue.ENHANCING)}
    return Drawing(truth, (layer,), scene.labels.geometry, segments)


def _another_segment(label: str) -> Callable[[Scene], Drawing]:
    """A fourth segment beside the tumour; it is no part of the truth unless it names a tissue."""

    def edit(scene: Scene) -> Drawing:
        drawing = _brush(scene)
        layer, truth = drawing.truth.copy(), drawing.truth.copy()
        box = (slice(4, 6), slice(60, 66), slice(50, 58))
        layer[box] = 4
        if label == "ET":
            truth[box] = Tissue.ENHANCING
        return Drawing(
            truth, (layer,), drawing.geometry, {**OURS, 4: Segment(label, rgb=PRIMARIES[3])}
        )

    return edit


def _overlapping(scene: Scene) -> Drawing:
    """Edema drawn over the whole tumour, necrosis over the whole core, as nested regions are."""
    drawing = _brush(scene)
    whole = np.where(drawing.truth > 0, 2, 0).astype(np.uint8)
    core = np.where(np.isin(drawing.truth, (1, 3)), 1, 0).astype(np.uint8)
    enhancing = np.where(drawing.truth == 3, 3, 0).astype(np.uint8)
    return replace(drawing, layers=(core, whole, enhancing))


def _finer(scene: Scene) -> Drawing:
    drawing = _brush(scene)
    layer = drawing.truth.repeat(2, axis=1).repeat(2, axis=2)
    return replace(drawing, layers=(layer,), geometry=_wide(scene, 0.5), grid="finer")


def _coarser(scene: Scene) -> Drawing:
    """Drawn in pixels of two by two."""
    layer = np.ascontiguousarray(brushed(scene.labels.array)[:, ::2, ::2])
    truth = layer.repeat(2, axis=1).repeat(2, axis=2)
    return Drawing(truth, (layer,), _wide(scene, 2.0), OURS, "coarser")


def _wide(scene: Scene, wide: float) -> Geometry:
    """The result's grid with other pixels on the same field of view."""
    ours = scene.labels.geometry
    affine = ours.affine.copy()
    affine[:3, 1:3] *= wide
    affine[:3, 3] += (affine[:3, 1:3] - ours.affine[:3, 1:3]).sum(axis=1) / 2
    shape = (ours.shape[0], round(ours.shape[1] / wide), round(ours.shape[2] / wide))
    return Geometry(shape, affine, ours.frame_of_reference_uid)


def _axes_reversed(*axes: int) -> Callable[[Scene], Drawing]:
    """The same voxels at the same places, stored in another order."""

    def edit(scene: Scene) -> Drawing:
        drawing, ours = _brush(scene), scene.labels.geometry
        affine, first = ours.affine.copy(), np.zeros(3)
        for axis in axes:
            first[axis] = ours.shape[axis] - 1
            affine[:3, axis] *= -1
        affine[:3, 3] = ours.world(first)
        layer = np.ascontiguousarray(np.flip(drawing.truth, axes))
        geometry = Geometry(ours.shape, affine, ours.frame_of_reference_uid)
        return replace(drawing, layers=(layer,), geometry=geometry)

    return edit


def _cropped(scene: Scene) -> Drawing:
    """The tumour's box and a margin of two voxels, as an image of its own."""
    drawing, ours = _brush(scene), scene.labels.geometry
    where = np.argwhere(drawing.truth)
    low = np.maximum(where.min(axis=0) - 2, 0)
    high = np.minimum(where.max(axis=0) + 3, ours.shape)
    layer = np.ascontiguousarray(drawing.truth[tuple(map(slice, low, high))])
    affine = ours.affine.copy()
    affine[:3, 3] = ours.world(low)
    geometry = Geometry(layer.shape, affine, ours.frame_of_reference_uid)
    return replace(drawing, layers=(layer,), geometry=geometry)


def _mirrored(axis: int) -> Callable[[Scene], Drawing]:
    """Other voxels: what is left lies right, and nothing in the file says so."""

    def edit(scene: Scene) -> Drawing:
        return drawn(scene, np.ascontiguousarray(np.flip(brushed(scene.labels.array), axis)))

    return edit


def _click(scene: Scene) -> Drawing:
    """Four pixels of enhancing lesion, and the rest cleared."""
    k, i, j = np.argwhere(scene.labels.array == Tissue.ENHANCING)[0]
    labels = np.zeros_like(scene.labels.array)
    labels[k, i : i + 2, j : j + 2] = Tissue.ENHANCING
    return drawn(scene, labels, {3: OURS[3]})


def _flooded(scene: Scene) -> Drawing:
    """A fill that ran out over the whole picture."""
    return drawn(scene, np.full_like(scene.labels.array, Tissue.EDEMA), {2: OURS[2]})


DRAWINGS: Mapping[str, Callable[[Scene], Drawing]] = {
    "nothing": lambda scene: drawn(scene, scene.labels.array),
    "brush": _brush,
    "renamed by synonyms": _named("NCR", "Oedeme perilesionnel", "enhancing tumour"),
    "renamed, codes kept": _named("Segment 1", "Segment 2", "Segment 3", codes=True),
    "renamed and recoded, colours kept": _named("a", "b", "c", colours=True),
    "renamed, recoded, recoloured": _named("Segment 1", "Segment 2", "Segment 3"),
    "renumbered": _renumbered,
    "necrosis erased": _necrosis_erased,
    "edema's segment deleted, so not spoken of": _edema_gone,
    "a segment added": _another_segment("Segment 4"),
    "a second segment of a tissue": _another_segment("ET"),
    "segments overlap": _overlapping,
    "finer grid": _finer,
    "coarser grid": _coarser,
    "rows and columns reversed": _axes_reversed(1, 2),
    "slices reversed": _axes_reversed(0),
    "cropped": _cropped,
    "mirrored, left and right": _mirrored(2),
    "mirrored, head and feet": _mirrored(0),
    "a click": _click,
    "flooded": _flooded,
}
"""Edits by name, made in the viewer."""


def tissue_by_tissue(drawing: Drawing) -> list[Drawing]:
    """A drawing for each segment, as viewers save that write a file for each layer."""
    layer = drawing.layers[0]
    return [
        replace(
            drawing,
            layers=(np.where(layer == number, number, 0).astype(np.uint8),),
            segments={number: segment},
        )
        for number, segment in drawing.segments.items()
    ]
