"""Receiving, measured beside storescp and Orthanc: with images that take no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from typer.testing import CliRunner

from glioloop import bench_ingest
from glioloop.cli import build
from study.errors import FailedError


def test_the_images_are_three_series_of_one_study(tmp_path: Path) -> None:
    files = bench_ingest.write_images(tmp_path / "images", (12, 10, 2))
    images = [pydicom.dcmread(path) for path in files]
    assert len(files) == 6
    assert len({image.SOPInstanceUID for image in images}) == 6
    assert len({image.SeriesInstanceUID for image in images}) == 3
    assert {image.pixel_array.shape for image in images} == {(10, 12)}


def test_what_was_not_taken_is_no_rate(tmp_path: Path, free_port: Callable[[], int]) -> None:
    files = bench_ingest.write_images(tmp_path / "images", (12, 10, 1))
    with pytest.raises(FailedError, match="storescu ended with"):
        bench_ingest.send(free_port(), [files])


@pytest.mark.slow
def test_all_three_are_measured() -> None:
    arguments = ["bench", "ingest", "--grid", "24x20x4", "--repeats", "1", "--json"]
    done = CliRunner().invoke(build(arguments), arguments, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert all(value > 0 for value in found.values())
    assert [name for name in found if name.startswith("ingest_8.")] == [
        "ingest_8.storescp_per_s",
        "ingest_8.orthanc_per_s",
        "ingest_8.ours_per_s",
        "ingest_8.ours_to_orthanc",
        "ingest_8.ours_to_storescp",
    ]
    assert found["ingest_busy.idle_per_s"] > 0
