"""A result on some frames of an enhanced image: magnitude and phase in one object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedMRImageStorage
from small_world import SLICES, Study, World, write_study

from converter.parts import headers_of, read_part
from converter.volume import to_volume
from dicomseg.image_planes import image_planes
from dicomseg.read import read_seg
from study.tissue import Tissue

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PHASE_FIRST = (["DERIVED", "PRIMARY", "P", "NONE"], ["ORIGINAL", "PRIMARY", "M", "NONE"])


def as_enhanced(files: list[Path]) -> None:
    """Make one enhanced image of a series: each slice as phase (all 7), then as magnitude."""
    slices = [dcmread(path) for path in files]
    image = slices[0]
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    image.ImageType, image.NumberOfFrames = ["ORIGINAL", "PRIMARY", "MIXED", "NONE"], 2 * SLICES
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = image.PixelSpacing, image.SliceThickness
    orientation.ImageOrientationPatient = image.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    image.SharedFunctionalGroupsSequence = [shared]
    image.PerFrameFunctionalGroupsSequence = [
        frame(one, kind) for one in slices for kind in PHASE_FIRST
    ]
    phase = np.full((image.Rows, image.Columns), 7, "<u2").tobytes()
    image.PixelData = b"".join(phase + one.PixelData for one in slices)
    for keyword in (
        "PixelSpacing",
        "SliceThickness",
        "ImageOrientationPatient",
        "ImagePositionPatient",
    ):
        delattr(image, keyword)
    for path in files[1:]:
        path.unlink()
    image.save_as(files[0], enforce_file_format=True)
    del files[1:]


def frame(one: Dataset, kind: list[str]) -> Dataset:
    """Functional groups of a frame: where it lies, and what it is."""
    group, position, typed = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient, typed.FrameType = one.ImagePositionPatient, kind
    group.PlanePositionSequence, group.MRImageFrameTypeSequence = [position], [typed]
    return group


def segmented(world: World) -> Study:
    study = write_study(world.folder / "in")
    as_enhanced(study.files["T1GD"])
    world.send(study.every())
    world.until_state(study, "delivered")
    return study


def test_the_magnitude_frames_are_segmented_and_referred_to_by_their_numbers(world: World) -> None:
    world.network.complete = True
    world.start()
    study = segmented(world)
    assert world.service is not None
    (result,) = world.service.site.ledger.results(study.uid)
    chosen = world.service.site.results.report(result.result_id)["instances"]["T1GD"]
    assert chosen == [f"{study.uid}.2.1/frames/2,4,6,8,10,12,14,16,18,20,22,24"]
    source = read_part([f"{study.files['T1GD'][0]}/frames/2,4,6,8,10,12,14,16,18,20,22,24"])
    volume = to_volume(source)
    assert np.unique(volume.array).tolist() == [102]
    seg = world.seg()
    masks = read_seg(world.service.site.results.path(result.result_id, "seg.dcm"), volume.geometry)
    assert np.argwhere(masks.labels() == Tissue.ENHANCING).min(axis=0).tolist() == [5, 6, 6]
    named = {
        (
            float(group.PlanePositionSequence[0].ImagePositionPatient[2]),
            int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber),
        )
        for group in seg.PerFrameFunctionalGroupsSequence
    }
    # Slices 3 to 8, 10 mm apart; the magnitude of slice k is frame 2 k + 2.
    assert sorted(named) == [(30, 8), (40, 10), (50, 12), (60, 14), (70, 16), (80, 18)]
    planes = image_planes(headers_of(source))
    assert [plane.frame for plane in planes][:3] == [2, 4, 6]


def test_a_correction_on_those_frames_is_taken(world: World) -> None:
    world.start()
    study = segmented(world)
    world.send([world.correct(study)])
    world.until(lambda: world.network.lessons)
    assert world.network.lessons[0][0]["result"]
