"""Tests of `dicomseg.encode`."""

import pytest

from dicomseg import encode
from study.errors import FailedError


def test_what_does_not_read_back_as_meant_is_not_given_out(monkeypatch, series, identity):
    """A writer that loses a voxel is found out."""
    whole = encode.write_seg

    def careless(meant, *rest):
        array = meant.array.copy()
        array[tuple(index[0] for index in array.nonzero())] = 0
        return whole(meant.with_array(array), *rest)

    monkeypatch.setattr(encode, "write_seg", careless)
    with pytest.raises(FailedError):
        encode.encode_seg(series.labels, series.instances, identity)


def test_what_reads_back_as_meant_is_the_writers_own_file(series, identity):
    assert encode.encode_seg(series.labels, series.instances, identity) == encode.write_seg(
        series.labels, series.instances, identity
    )
