"""What the measurement of the store prints, on a small one."""

from __future__ import annotations

from pathlib import Path

from glioloop import bench, bench_models
from glioloop.models import ModelStore


def test_every_lookup_is_counted_and_the_disk_is_weighed(tmp_path: Path) -> None:
    found = bench_models.measure(300, tmp_path)
    assert found["patients"] == 300
    assert found["lookups"] == 2000
    # One in ten of those who are looked up has no head.
    assert 1700 < int(found["lookups_that_found_a_head"]) < 1900
    on_disk = sum(path.stat().st_size for path in tmp_path.glob("models.db*"))
    assert 300 * 1000 < int(found["bytes"]) <= on_disk
    assert int(found["bytes_a_patient"]) == round(int(found["bytes"]) / 300)
    assert 0 < float(found["lookup_median_ms"]) <= float(found["lookup_99_percent_ms"])
    store = ModelStore(tmp_path)
    known = store.patient(bench_models.key_of(299))
    assert known.current == {bench_models.BACKBONE: 1}
    assert store.patient(bench_models.key_of(300)).versions == ()


def test_it_is_one_of_the_groups_of_the_command() -> None:
    (one,) = bench_models.measurements(bench.Options(patients=20))
    assert one.name == "models"
    assert one.title == "models of 20 patients, SQLite on this disk"
    assert set(one.run()) >= {"patients", "bytes", "lookup_median_ms"}
    assert bench.GROUPS["models"] == "glioloop.bench_models"
