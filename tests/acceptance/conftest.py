"""A PACS, a service and a patient for the tests of the whole loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance.patients import one_date
from acceptance.small_models import write_small_models
from engine.phantom import phantom_head
from glioloop.phantom import PhantomStudy
from study.tissue import Role


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks that answer in a second: `brain` calls everything brain, `base` is not trained."""
    return write_small_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    """One study of a phantom patient."""
    head = phantom_head(1, spacing_mm=3.0)
    return one_date(tmp_path_factory.mktemp("patient"), head, 1)


@pytest.fixture(scope="session")
def without_t2(tmp_path_factory: pytest.TempPathFactory) -> tuple[PhantomStudy, PhantomStudy]:
    """Two other patients, of whom the T2 was not scanned."""
    head = phantom_head(2, spacing_mm=3.0)
    first, second = (
        one_date(tmp_path_factory.mktemp("no-t2"), head, seed, frozenset({Role.T2}))
        for seed in (2, 3)
    )
    return first, second
