"""The comparison of `place.py` sees it when an outline lies elsewhere than its mask."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
import pydicom
import pytest

from browser.clinic import Labels, Window
from browser.ohif import Viewer
from browser.place import compare
from converter.volume import to_volume
from dicomseg.identity import ResultIdentity
from dicomseg.write import write_seg
from glioloop.demo_studies import Study
from glioloop.private_orthanc import VIEWER_AET, Orthanc, storescu
from study.volume import Volume

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

WRONG: dict[str, Callable[[Labels], Labels]] = {
    "as it is": lambda labels: labels,
    "left for right": lambda labels: np.flip(labels, axis=2),
    "front for back": lambda labels: np.flip(labels, axis=1),
    "top for bottom": lambda labels: np.flip(labels, axis=0),
    "one slice off": lambda labels: np.roll(labels, 1, axis=0),
    "one voxel off": lambda labels: np.roll(labels, 1, axis=2),
}


@pytest.fixture(scope="module")
def series_numbers(
    archive: Orthanc, patient: Sequence[Study], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, int]:
    """Series of SEGs in an archive: the truth, right and wrong; by what is wrong with them."""
    study = patient[0]
    assert study.truth is not None
    series = next(s for s in study.images if to_volume(s).geometry.same_place(study.truth.geometry))
    headers = [pydicom.dcmread(one.path, stop_before_pixels=True) for one in series.instances]
    folder = tmp_path_factory.mktemp("segs")
    numbers = {name: 911 + n for n, name in enumerate(WRONG)}
    for name, number in numbers.items():
        identity = ResultIdentity(
            result_id=f"{number:08d}", model_name="truth", model_version="1",
            created=dt.datetime.now(dt.UTC), series_number=number,
        )  # fmt: skip
        labels = np.ascontiguousarray(WRONG[name](study.truth.array.astype(np.uint8)))
        path = folder / f"{number}.dcm"
        path.write_bytes(write_seg(Volume(labels, study.truth.geometry), headers, identity))
    assert storescu(archive, study.files).returncode == 0
    assert storescu(archive, sorted(folder.iterdir()), VIEWER_AET).returncode == 0
    return numbers


@pytest.mark.parametrize("name", WRONG)
def test_only_what_lies_right_is_found_to_fit(
    archive: Orthanc,
    series_numbers: dict[str, int],
    patient: Sequence[Study],
    window: Window,
    name: str,
) -> None:
    study = patient[0]
    assert study.truth is not None
    series = next(s for s in study.images if to_volume(s).geometry.same_place(study.truth.geometry))
    viewer = Viewer(window(archive), archive.url)
    viewer.open(study.study_uid)
    viewer.load(series_numbers[name])
    found = compare(viewer, series, to_volume(series), study.truth.array.astype(np.uint8))
    assert found.shows_the_image, found
    assert found.fits is (name == "as it is"), found
