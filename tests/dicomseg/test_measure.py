from __future__ import annotations

import numpy as np
import pytest

from dicomseg.measure import volumes_of
from study.tissue import Tissue
from study.volume import Geometry, Volume


def test_volumes_are_voxels_times_their_size():
    """Voxels of 5 x 2 x 1 mm are 0.01 mL each: 100, 200 and 300 of them are 1, 2 and 3 mL."""
    labels = np.zeros((10, 10, 10), np.uint8)
    labels.flat[:100], labels.flat[100:300], labels.flat[300:600] = 1, 2, 3
    geometry = Geometry((10, 10, 10), np.diag([5.0, 2.0, 1.0, 1.0]), "1.2.3")
    volumes = volumes_of(Volume(labels, geometry))
    assert dict(volumes.tissues) == pytest.approx(
        {Tissue.NECROSIS: 1.0, Tissue.EDEMA: 2.0, Tissue.ENHANCING: 3.0}
    )
    assert dict(volumes.regions) == pytest.approx({"enhancing": 3.0, "core": 4.0, "whole": 6.0})


def test_nothing_has_no_volume():
    """Zero, not missing."""
    geometry = Geometry((2, 2, 2), np.eye(4), "1.2.3")
    volumes = volumes_of(Volume(np.zeros((2, 2, 2), np.uint8), geometry))
    assert set(volumes.tissues.values()) == {0.0}
