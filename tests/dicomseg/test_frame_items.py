"""What is encoded here is, byte for byte, what the encoder makes of all frames."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from dicomseg import write
from dicomseg.write import write_seg
from study.tissue import TUMOUR_TISSUES, Tissue


@pytest.fixture
def both(identity, monkeypatch):
    """A function that writes labels as they are written, and by the encoder alone."""

    def encode(series, labels, tissues=TUMOUR_TISSUES):
        volume = series.labels.with_array(labels)
        ours = write_seg(volume, series.instances, identity, tissues)
        with monkeypatch.context() as patch:
            patch.setattr(write, "is_multiframe", lambda _image: True)
            patch.setattr(write, "_name_frames", lambda *_: None)
            encoder = write_seg(volume, series.instances, identity, tissues)
        return ours, encoder

    return encode


def alone(labels, *kept):
    """The labels of some tissues."""
    return np.where(np.isin(labels, kept), labels, 0).astype(np.uint8)


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("orientation", ["axial", "sagittal", "coronal", "oblique"])
def test_every_orientation(orientation, ascending, new_series, both):
    """Frames, their order, places, images and bits."""
    series = new_series(orientation, ascending=ascending)
    ours, encoder = both(series, series.labels.array)
    assert len(dcmread(BytesIO(ours)).PerFrameFunctionalGroupsSequence) == 9
    assert ours == encoder


@pytest.mark.parametrize("shape", [(7, 20, 24), (9, 16, 25)])
def test_frames_of_whole_bytes(shape, new_series, both):
    """480 pixels, and 400: nine times 60 and 50 bytes."""
    series = new_series(shape=shape)
    ours, encoder = both(series, series.labels.array)
    assert ours == encoder


@pytest.mark.parametrize("shape", [(7, 21, 23), (8, 20, 21)])
def test_frames_that_end_within_a_byte(shape, new_series, both):
    """483 and 420 pixels, nine times: 544 and 473 bytes, of which the last has unused bits."""
    series = new_series(shape=shape)
    ours, encoder = both(series, series.labels.array)
    # The encoder pads an odd number of bytes with the character 0; PS3.5 section 8 wants a null.
    padding = encoder[-1:] == b"0"
    assert padding is (shape == (8, 20, 21))
    assert ours == (encoder[:-1] + b"\x00" if padding else encoder)


def test_one_slice_one_tissue_none(series, both):
    """A segment without a voxel has no frame; an empty outline has all frames."""
    labels = series.labels.array
    one = np.zeros_like(labels)
    one[3] = labels[3]
    for array in (one, alone(labels, Tissue.EDEMA), np.zeros_like(labels)):
        ours, encoder = both(series, array)
        assert ours == encoder


def test_some_tissues_only(series, both):
    """Numbered from 1 in the order in which they are asked for."""
    tissues = (Tissue.ENHANCING, Tissue.EDEMA)
    ours, encoder = both(series, alone(series.labels.array, *tissues), tissues)
    assert [s.SegmentLabel for s in dcmread(BytesIO(ours)).SegmentSequence] == [
        "Enhancing Lesion",
        "Edema",
    ]
    assert ours == encoder


def test_positions_of_many_digits(new_series, both):
    """Numbers that a DS value of 16 characters cannot hold."""
    series = new_series("oblique", spacing=(1 / 3, 0.7, 0.7))
    for instance in series.instances:
        instance.PixelSpacing = [0.7, 0.7]
    ours, encoder = both(series, series.labels.array)
    assert ours == encoder


@pytest.mark.parametrize("character_set", [None, "ISO_IR 192", ["", "ISO 2022 IR 87"]])
def test_names_in_any_character_set(character_set, series, both):
    """What is encoded already is written as it is; names as the object's character set says."""
    for instance in series.instances:
        instance.SpecificCharacterSet = character_set
        instance.PatientName = "Tester^M" if character_set is None else "Tester^Müller"
        if isinstance(character_set, list):
            instance.PatientName = "Yamada^Tarou=山田^太郎"
    ours, encoder = both(series, series.labels.array)
    assert str(dcmread(BytesIO(ours)).PatientName) == str(series.instances[0].PatientName)
    assert ours == encoder
