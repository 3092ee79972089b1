"""``glioloop prior``."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.prior import PRIOR_FILE
from glioloop.cli_prior import drop_prior, write_prior
from study.errors import RefusedError


def test_a_folder_without_label_maps_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"holds no \*\.nii\.gz head label maps"):
        write_prior(tmp_path, tmp_path)
    assert not (tmp_path / PRIOR_FILE).exists()


def test_the_prior_of_a_model_that_is_replaced_is_removed(tmp_path: Path) -> None:
    (tmp_path / PRIOR_FILE).write_bytes(b"of other weights")
    drop_prior(tmp_path)
    drop_prior(tmp_path)
    assert not (tmp_path / PRIOR_FILE).exists()
