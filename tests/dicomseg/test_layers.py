from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from seg_edits import drop_segment, rename

from dicomseg.facts import read_facts
from dicomseg.read import Original, read_seg
from dicomseg.write import write_seg
from study.errors import RefusedError
from study.tissue import Tissue


@pytest.fixture
def encoded(series, identity):
    return write_seg(series.labels, series.instances, identity)


@pytest.fixture
def original(series, encoded):
    return Original(series.labels.array, read_facts(encoded).segments)


def tissue_alone(encoded, edit_seg, number, instance):
    """A file with one of the segments, as a viewer saves a layer."""

    def edit(ds: Dataset) -> None:
        for other in sorted({1, 2, 3} - {number}, reverse=True):
            drop_segment(other)(ds)
        ds.SOPInstanceUID = f"1.2.3.{instance}"

    return edit_seg(encoded, edit)


def test_files_of_a_series_that_share_no_tissue_are_layers(encoded, series, original, edit_seg):
    """Each holds one tissue; none of them says that the others are gone."""
    parts = [tissue_alone(encoded, edit_seg, number, number) for number in (1, 2, 3)]
    older = [(part, {}) for part in parts[1::-1]]
    found = read_seg(parts[2], series.labels.geometry, layers=older, original=original)
    assert (found.outlined, found.unchanged) == ({1, 2, 3}, True)
    assert [m.segment.label for m in found.mapped] == ["Enhancing Lesion", "Edema", "Necrosis"]
    assert found.facts.sop_instance_uid == "1.2.3.3"
    assert {t: f.sop_instance_uid for t, f in found.layers.items()} == {
        Tissue.NECROSIS: "1.2.3.1",
        Tissue.EDEMA: "1.2.3.2",
    }
    np.testing.assert_array_equal(found.labels(), series.labels.array)


def test_what_was_saved_again_replaces_what_it_shares_a_tissue_with(
    series, identity, original, edit_seg
):
    """An older outline of the same tissues is not mixed in, though it has one more."""
    labels = series.labels.array
    older = write_seg(series.labels.with_array(np.roll(labels, 1, axis=0)), series.instances,
                      identity)  # fmt: skip
    newer = edit_seg(write_seg(series.labels, series.instances, identity), drop_segment(1))
    found = read_seg(newer, series.labels.geometry, layers=[(older, {})], original=original)
    assert (found.outlined, found.layers) == ({1, 2, 3}, {})
    np.testing.assert_array_equal(found.labels(), np.where(labels == 1, 0, labels))


def test_a_damaged_layer_is_refused(encoded, series, edit_seg):
    """What it would have held is not taken for erased."""
    layer = tissue_alone(encoded, edit_seg, 1, 1)
    with pytest.raises(RefusedError, match="no DICOM Part 10 file"):
        read_seg(layer, series.labels.geometry, layers=[(b"\x00" * 200, {})])


def labelled_again(series, identity, edit_seg, **attributes):
    """Two saves: an enhancing lesion alone; the same as necrosis, for the most part."""
    enhancing = np.where(series.labels.array == 3, 3, 0).astype(np.uint8)
    necrosis = np.where(enhancing == 3, 1, 0).astype(np.uint8)
    necrosis[tuple(np.argwhere(necrosis)[0])] = 0

    def edit(ds: Dataset) -> None:
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return [
        edit_seg(write_seg(series.labels.with_array(array), series.instances, identity, (t,)), edit)
        for array, t in ((enhancing, Tissue.ENHANCING), (necrosis, Tissue.NECROSIS))
    ]


def test_what_is_labelled_again_stays_so(series, identity, edit_seg):
    """The newer file wins voxel by voxel: enhancing is left where it says nothing."""
    older, newer = labelled_again(series, identity, edit_seg)
    found = read_seg(newer, series.labels.geometry, layers=[(older, {})])
    enhancing = series.labels.array == 3
    assert found.masks[Tissue.NECROSIS].sum() == enhancing.sum() - 1
    assert found.masks[Tissue.ENHANCING].sum() == 1
    assert found.overlap_voxels == 0


@pytest.mark.parametrize("newest_too", [True, False])
def test_what_dcmjs_saved_has_no_older_layers(series, identity, edit_seg, newest_too):
    """OHIF saves all that there is each time: a segment that it dropped has no voxel left."""
    older, newer = labelled_again(series, identity, edit_seg, Manufacturer="Unspecified")
    if not newest_too:
        _, newer = labelled_again(series, identity, edit_seg)
    found = read_seg(newer, series.labels.geometry, layers=[(older, {})])
    assert (found.outlined, found.layers) == ({Tissue.NECROSIS}, {})


def test_each_layer_is_read_as_a_person_decided_about_it(series, identity, original, edit_seg):
    """One label stands for two tissues: the viewer numbers the segments of each layer from 1."""
    layers = []
    for tissue in (Tissue.ENHANCING, Tissue.EDEMA, Tissue.NECROSIS):
        alone = np.where(series.labels.array == tissue, tissue, 0).astype(np.uint8)
        written = write_seg(series.labels.with_array(alone), series.instances, identity, (tissue,))
        layers.append((edit_seg(written, rename("Segment 1")), {"Segment 1": tissue}))
    (newest, overrides), *older = layers
    found = read_seg(newest, series.labels.geometry, layers=older, overrides=overrides)
    np.testing.assert_array_equal(found.labels(), series.labels.array)
    with pytest.raises(RefusedError, match=r"no segment is labelled \['Segment 2'\]"):
        read_seg(
            newest,
            series.labels.geometry,
            layers=[(older[0][0], {"Segment 2": Tissue.EDEMA})],
            overrides=overrides,
        )
