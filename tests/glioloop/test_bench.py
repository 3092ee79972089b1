from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from glioloop import bench
from glioloop.cli import build
from study.errors import FailedError, RefusedError


def test_seg_encoding_is_measured_beside_dcmqi():
    """On a grid that takes no time; both files are compared voxel by voxel on the way."""
    arguments = ["bench", "seg", "--grid", "24x20x6", "--repeats", "1", "--json"]
    done = CliRunner().invoke(build(arguments), arguments, catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert list(found) == [
        "seg_encoding.ours_s",
        "seg_encoding.dcmqi_s",
        "seg_encoding.ratio",
        "seg_encoding.ours_cpu_s",
        "seg_encoding.dcmqi_cpu_s",
        "seg_encoding.ours_checked_s",
        "seg_encoding.ratio_checked",
        "seg_encoding.dcmqi_start_s",
    ]
    assert all(value >= 0 for value in found.values())
    assert found["seg_encoding.dcmqi_s"] > 0
    ratio = found["seg_encoding.ours_s"] / found["seg_encoding.dcmqi_s"]
    # Seconds are printed to the millisecond, and so is the ratio to three digits.
    rounding = 0.001 / found["seg_encoding.dcmqi_s"] + 0.001
    assert found["seg_encoding.ratio"] == pytest.approx(ratio, rel=0.05, abs=rounding)


def test_a_person_reads_names_and_figures(capsys):
    """One line for each figure, under what was measured."""
    arguments = ["bench", "seg", "--grid", "24x20x6", "--repeats", "1"]
    done = CliRunner().invoke(build(arguments), arguments, catch_exceptions=False)
    told = done.stdout or capsys.readouterr().out
    assert "SEG of three segments on 24x20x6" in told
    assert "seg_encoding.ratio" in told


def test_without_dcmqi_nothing_is_compared(monkeypatch, tmp_path):
    """It says what to install."""
    monkeypatch.setattr("glioloop.bench_seg.PROGRAM", "itkimage2nothing")
    options = bench.Options(1, (24, 20, 6))
    with pytest.raises(FailedError, match=r"itkimage2nothing is missing, .* pip install dcmqi"):
        list(bench.run(["seg"], options))


def test_a_program_that_fails_is_told(tmp_path):
    """With the last line that it said."""
    from glioloop.bench_seg import _run  # noqa: PLC0415

    with pytest.raises(FailedError, match=r"sh failed \(3\): no such thing"):
        _run(["sh", "-c", "echo no such thing >&2; exit 3"])


@pytest.mark.parametrize("text", ["240x240", "0x1x1", "a x b x c", "240x240x155x1", "-1x2x3"])
def test_a_grid_is_three_sizes(text):
    with pytest.raises(RefusedError, match="columns, rows and slices are needed: 240x240x155"):
        bench.grid_of(text)


def test_a_grid_is_told_as_viewers_tell_it():
    assert bench.grid_of("512x384X200") == (512, 384, 200)


def test_unknown_groups_and_no_repeats_are_refused():
    with pytest.raises(RefusedError, match=r"nothing is measured under \['sge'\]; there is .*seg"):
        list(bench.run(["sge"], bench.Options()))
    with pytest.raises(RefusedError, match="--repeats is 0"):
        bench.Options(repeats=0)


def test_each_is_run_in_turn(monkeypatch):
    """The quickest of 1, 30, 2 s and of 6, 5, 4 s counts; half of each it computed."""
    took = {"a": [1.0, 30.0, 2.0], "b": [6.0, 5.0, 4.0]}
    order, now = [], [0.0]
    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(bench, "_cpu_seconds", lambda: now[0] / 2)

    def run(name):
        order.append(name)
        now[0] += took[name].pop(0)

    found = bench.in_turn(3, a=lambda: run("a"), b=lambda: run("b"))
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert found == {"a": (1.0, 0.5), "b": (4.0, 2.0)}


def test_figures_are_written_into_their_place_of_a_page(tmp_path):
    page = tmp_path / "bench.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- b -->\nafter\n")
    bench.write_page(page, {"x.ours_s": 1.5, "x.ratio": 0.5}, "<!-- a -->", "<!-- b -->")
    assert page.read_text() == (
        "before\n<!-- a -->\n| figure | value |\n|---|---|\n"
        "| `x.ours_s` | 1.5 |\n| `x.ratio` | 0.5 |\n<!-- b -->\nafter\n"
    )
    with pytest.raises(RefusedError, match="has no place for the figures: <!-- c -->"):
        bench.write_page(page, {}, "<!-- c -->", "<!-- b -->")


def test_registration_is_measured_beside_simpleitk():
    """On a small head; the error is the mean of its points, which were 7 mm away and turned."""
    found = dict(next(bench.run(["registration"], bench.Options(1, (64, 64, 40))))[1])
    assert found["ours_s"] > 0
    assert found["simpleitk_s"] > 0
    assert found["ours_mean_error_mm"] < 0.5
    assert found["simpleitk_mean_error_mm"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_study_of_512x512x400_stays_within_4_gib():
    """The largest that must be taken, on three full grids; the child holds its images too."""
    from glioloop import bench_pipeline  # noqa: PLC0415 - SimpleITK, torch and OpenVINO

    found = bench_pipeline._in_child("segment_large", bench_pipeline.LARGE)
    assert found["images_gib"] == 1.17
    assert found["peak_gib"] < 4.0
