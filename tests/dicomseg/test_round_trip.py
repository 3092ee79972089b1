"""Labels to SEG to dcmqi, corrected, and back: exact on every orientation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydicom import dcmread

from dicomseg.read import Original, read_seg
from dicomseg.write import write_seg
from study.tissue import Tissue
from study.volume import Geometry
from viewers import dcmqi

ORIENTATIONS = pytest.mark.parametrize("orientation", ["axial", "sagittal", "coronal", "oblique"])
DIRECTIONS = pytest.mark.parametrize("ascending", [True, False], ids=["ascending", "descending"])


@pytest.fixture
def loaded(new_series, identity, tmp_path):
    """A function that makes anisotropic labels a SEG, and has dcmqi load it as an image."""

    def load(orientation, ascending):
        series = new_series(orientation, ascending=ascending)
        path = tmp_path / "result.dcm"
        path.write_bytes(write_seg(series.labels, series.instances, identity))
        dcmqi.run(
            "segimage2itkimage", "--inputDICOM", path, "--outputDirectory", tmp_path,
            "--mergeSegments", "-p", "loaded",
        )  # fmt: skip
        return series, dcmqi.from_itk(tmp_path / "loaded-1.nrrd")

    return load


def places(volume, number):
    """World positions of the voxels of one number, in mm, in the order of their places."""
    found = volume.geometry.world(np.argwhere(volume.array == number))
    return found[np.lexsort(found.round(2).T)]


@DIRECTIONS
@ORIENTATIONS
def test_dcmqi_finds_the_same_voxels_at_the_same_places(orientation, ascending, loaded):
    """Each voxel of each segment, to a thousandth of a millimetre, and none besides."""
    series, image = loaded(orientation, ascending)
    assert sorted(np.unique(image.array)) == [0, 1, 2, 3]
    for tissue in (1, 2, 3):
        meant = places(series.labels, tissue)
        assert len(meant) > 0
        np.testing.assert_allclose(places(image, tissue), meant, atol=1e-3)


def write_images(series, folder):
    """The source series as files, for dcmqi to refer to."""
    files = []
    for instance in series.instances:
        rows, columns = series.labels.geometry.shape[1:]
        instance.PixelData = np.zeros((rows, columns), "<i2").tobytes()
        instance.BitsAllocated = instance.BitsStored = 16
        instance.HighBit, instance.PixelRepresentation, instance.SamplesPerPixel = 15, 1, 1
        instance.PhotometricInterpretation = "MONOCHROME2"
        files.append(folder / f"{instance.InstanceNumber}.dcm")
        instance.save_as(files[-1], enforce_file_format=True)
    return files


def corrected(labels):
    """A person's edit: a piece of edema gone, some enhancing more, and a new focus."""
    found = labels.copy()
    found[1, 3:7] = Tissue.BACKGROUND
    found[2, 9:11, 6:14] = Tissue.ENHANCING
    found[5, 15:18, 2:5] = Tissue.EDEMA
    return found


@DIRECTIONS
@ORIENTATIONS
def test_a_correction_comes_back_exactly(orientation, ascending, loaded, tmp_path):
    """Drawn into dcmqi's image at its places in the patient, encoded by dcmqi, read by us."""
    series, image = loaded(orientation, ascending)
    wanted = corrected(series.labels.array)
    # Voxels of the image are looked up by their places: dcmqi crops, and orders slices as it likes.
    drawn = whole(image, series.labels.geometry)
    at = np.rint(series.labels.geometry.index(every_place(drawn))).astype(int)
    drawn.array[...] = wanted[tuple(np.moveaxis(at, -1, 0))]
    dcmqi.sitk.WriteImage(dcmqi.to_itk(drawn), str(tmp_path / "edited.nrrd"))
    metadata = json.loads((tmp_path / "loaded-meta.json").read_text(encoding="utf-8"))
    back = tmp_path / "corrected.dcm"
    dcmqi.encode([tmp_path / "edited.nrrd"], write_images(series, tmp_path), metadata, back)
    read = read_seg(back, series.labels.geometry, original=Original(series.labels.array))
    assert (read.resampled, read.unchanged, read.outlined) == (False, False, {1, 2, 3})
    np.testing.assert_array_equal(read.labels(), wanted)


@DIRECTIONS
@ORIENTATIONS
def test_what_is_not_touched_comes_back_unchanged(orientation, ascending, loaded, tmp_path):
    """Loaded and saved by dcmqi, as it cropped it."""
    series, _ = loaded(orientation, ascending)
    metadata = json.loads((tmp_path / "loaded-meta.json").read_text(encoding="utf-8"))
    back = tmp_path / "saved.dcm"
    dcmqi.encode([tmp_path / "loaded-1.nrrd"], write_images(series, tmp_path), metadata, back)
    assert dcmread(back, stop_before_pixels=True).Manufacturer == "QIICR"
    read = read_seg(back, series.labels.geometry, original=Original(series.labels.array))
    assert read.unchanged
    np.testing.assert_array_equal(read.labels(), series.labels.array)


def whole(image, reference):
    """An image extended by whole slices until it holds a grid, as when slices are added."""
    index = image.geometry.index(reference.corners())
    low = np.rint(index.min(axis=0)).astype(int)
    high = np.rint(index.max(axis=0)).astype(int) + 1
    affine = image.geometry.affine.copy()
    affine[:3, 3] = image.geometry.world(low)
    shape = tuple(int(n) for n in high - low)
    geometry = Geometry(shape, affine, "any")
    return type(image)(np.zeros(shape, np.uint8), geometry)


def every_place(volume):
    """World positions of all voxels, ``(..., 3)`` in mm."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.array.shape), indexing="ij"), axis=-1)
    return volume.geometry.world(index)
