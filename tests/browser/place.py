"""Whether a viewer shows an outline where its mask is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pydicom

from browser.ohif import Viewer
from browser.overlay import likeness, shown_labels
from converter.series import Series
from dicomseg.codes import STYLES
from study.agreement import dice
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Volume

COLOURS = {tissue: STYLES[tissue].rgb for tissue in TUMOUR_TISSUES}

WHOLE, EACH = 0.98, 0.95
"""Least Dice, on the screen, of the shown with the true outline: of all, and of each tissue."""


@dataclass(frozen=True)
class Comparison:
    """What a screenshot shows, against the image and the mask that it should show."""

    number: int
    """The slice that was looked at."""
    image_of: int
    """The slice whose pixels the shown image is most like."""
    likeness: float
    """Correlation with that slice."""
    mask_of: int
    """The slice whose mask the overlay is most like."""
    whole: float
    """Dice of the overlay with the mask."""
    each: Mapping[Tissue, float]
    """The same for each tissue."""

    @property
    def shows_the_image(self) -> bool:
        """Whether the image itself is shown where the test takes it to be."""
        return self.image_of == self.number and self.likeness > 0.95

    @property
    def fits(self) -> bool:
        """Whether the outline lies where the mask is, on its slice, each tissue in its colour."""
        there = self.mask_of == self.number and self.whole >= WHOLE
        return there and all(share >= EACH for share in self.each.values())


def compare(
    viewer: Viewer, series: Series, image: Volume, labels: npt.NDArray[np.uint8]
) -> Comparison:
    """Look at the slice of a loaded segmentation on which a shift would be seen best.

    Parameters
    ----------
    viewer
        With the segmentation loaded.
    series, image
        What the segmentation lies on, and its voxels.
    labels
        `Tissue` values of the image's shape, that should be shown.
    """
    number = telling_slice(labels)
    order = along(series, image)
    viewer.go_to(order, order[number])
    where = viewer.rectangle(image.geometry, number)
    tinted, plain = viewer.with_and_without()
    like = [likeness(plain, slice_, where) for slice_ in image.array]
    shown = shown_labels(tinted, plain, where, COLOURS)
    truth = where.enlarged(labels[number])
    agreed = [dice(shown > 0, where.enlarged(slice_) > 0) for slice_ in labels]
    return Comparison(
        number=number,
        image_of=int(np.argmax(like)),
        likeness=max(like),
        mask_of=int(np.argmax(agreed)),
        whole=agreed[number],
        each={t: dice(shown == t, truth == t) for t in TUMOUR_TISSUES if (truth == t).any()},
    )


def telling_slice(labels: npt.NDArray[np.uint8]) -> int:
    """The slice whose outline differs most from both of its neighbours'."""
    outline = labels > 0
    steps = np.count_nonzero(outline[1:] ^ outline[:-1], axis=(1, 2))
    return int(np.argmax(np.minimum(steps[1:], steps[:-1]))) + 1


def along(series: Series, image: Volume) -> list[str]:
    """(0008,0018) *SOP Instance UID* of a series' images, in the order of the volume's slices."""
    uids = [""] * image.geometry.shape[0]
    for instance in series.instances:
        header = pydicom.dcmread(instance.path, stop_before_pixels=True)
        at = image.geometry.index([float(x) for x in header.ImagePositionPatient])
        uids[round(float(at[0]))] = str(header.SOPInstanceUID)
    return uids
