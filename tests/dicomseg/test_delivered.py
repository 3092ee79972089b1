from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from dicomseg.delivered import measure_delivered, read_delivered
from dicomseg.image_planes import image_planes
from dicomseg.write import write_seg
from study.errors import HeldError
from study.tissue import Tissue


@pytest.mark.parametrize("orientation", ["axial", "sagittal", "oblique"])
def test_what_was_written_is_measured(orientation, new_series, identity):
    """Voxels of 6.5 x 0.9 x 0.7 mm: 4 x 9 x 12 of them less what lies in them, and so on."""
    series = new_series(orientation)
    seg = dcmread(BytesIO(write_seg(series.labels, series.instances, identity)))
    delivered = read_delivered(seg, image_planes(series.instances))
    # Edema 432 less 96 and one; enhancing 96 less 6, and that one; necrosis 6.
    values, counts = np.unique(delivered.labels.array, return_counts=True)
    assert dict(zip(values.tolist()[1:], counts.tolist()[1:], strict=True)) == {1: 6, 2: 335, 3: 91}
    found = measure_delivered(delivered).volumes.tissues
    assert dict(found) == pytest.approx(
        {Tissue.NECROSIS: 0.02457, Tissue.EDEMA: 1.371825, Tissue.ENHANCING: 0.372645}, rel=1e-6
    )
    sources = list(delivered.sources([Tissue.NECROSIS, Tissue.ENHANCING]))
    assert sources == [(delivered.facts, 1), (delivered.facts, 3)]
    # Slices 1 to 4 alone have frames.
    assert delivered.labels.geometry.shape == (4, 20, 24)


def test_a_single_slice_is_as_thick_as_the_series_says(series, identity, edit_seg):
    """Without *Spacing Between Slices* its only frame does not tell; the series does."""
    labels = np.zeros_like(series.labels.array)
    labels[3, 4:9, 5:9] = 3

    def forget(ds):
        del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices

    whole = write_seg(series.labels.with_array(labels), series.instances, identity)
    seg = dcmread(BytesIO(edit_seg(whole, forget)))
    slices = image_planes(series.instances)
    found = measure_delivered(read_delivered(seg, slices)).volumes.tissues[Tissue.ENHANCING]
    assert found == pytest.approx(20 * 6.5 * 0.9 * 0.7 / 1000)


def test_foreign_segments_are_known_by_label(series, foreign_seg):
    """NCR, ED and ET; all are codes of tissue in general."""
    seg = dcmread(BytesIO(foreign_seg(series, "LABELMAP")))
    delivered = read_delivered(seg, image_planes(series.instances))
    assert delivered.tissues == (Tissue.NECROSIS, Tissue.EDEMA, Tissue.ENHANCING)
    assert measure_delivered(delivered).volumes.tissues[Tissue.NECROSIS] == pytest.approx(0.02457)


def test_a_person_names_what_nothing_else_does(series, identity, edit_seg):
    """Held without; labels that do not occur do no harm."""

    def rename(ds):
        segment = ds.SegmentSequence[1]
        segment.SegmentLabel = "Seg 2"
        del segment.SegmentedPropertyTypeCodeSequence
        del segment.RecommendedDisplayCIELabValue

    seg = dcmread(BytesIO(edit_seg(write_seg(series.labels, series.instances, identity), rename)))
    with pytest.raises(HeldError, match="Seg 2"):
        read_delivered(seg)
    delivered = read_delivered(seg, (), {"Seg 2": Tissue.EDEMA, "Seg 9": Tissue.NECROSIS})
    assert list(delivered.sources([Tissue.EDEMA])) == [(delivered.facts, 2)]


def test_a_tissue_without_segment_may_be_spoken_of(series, identity):
    """A writer that drops empty segments says zero by silence, if the caller knows it does."""
    only = series.labels.with_array(np.where(series.labels.array == 3, 3, 0).astype(np.uint8))
    encoded = write_seg(only, series.instances, identity, [Tissue.ENHANCING])
    delivered = read_delivered(dcmread(BytesIO(encoded)), image_planes(series.instances))
    assert set(measure_delivered(delivered).volumes.tissues) == {Tissue.ENHANCING}
    spoken = measure_delivered(delivered, [Tissue.NECROSIS, Tissue.ENHANCING]).volumes
    assert spoken.tissues[Tissue.NECROSIS] == 0.0
    assert set(spoken.regions) == {"enhancing", "core"}
