"""Phantom patients with a quarter of the pixels: quick to send, to align and to draw.

Slices, tilts and displacements are those of `glioloop.phantom`. With all pixels, the loop runs on a
real patient in `test_loop_on_real_data`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from engine.phantom import PhantomHead, phantom_head
from glioloop.phantom import (
    FIRST_STUDY,
    GROWTH,
    MONTHS_BETWEEN_DAYS,
    Examination,
    PhantomStudy,
    write_study,
)
from glioloop.phantom_headers import PROTOCOLS, Protocol, petra
from study.tissue import Role


def coarse(protocol: Protocol) -> Protocol:
    """A series with half the rows and columns."""
    slices, rows, columns = protocol.shape
    apart, height, width = protocol.spacing
    return replace(
        protocol,
        shape=(slices, rows // 2, columns // 2),
        spacing=(apart, 2 * height, 2 * width),
    )


SERIES = tuple(map(coarse, PROTOCOLS))
THREE = tuple(
    series
    for series in SERIES
    if series.description in ("t2_tirm_tra_dark-fluid", "t2_tse_tra", "t1_tse_tra +Gd")
)
"""FLAIR, T2 and T1gd alone."""


def both_dates(folder: Path, seed: int = 1) -> Iterator[PhantomStudy]:
    """The demo's patient at both dates, with every series of the examination."""
    how = Examination(petra(seed), protocols=SERIES)
    for number, growth in enumerate(GROWTH, start=1):
        head = phantom_head(seed, growth=growth, spacing_mm=2.0)
        when = FIRST_STUDY + dt.timedelta(days=MONTHS_BETWEEN_DAYS * (number - 1))
        yield write_study(folder / f"{number}", head, seed, number, when, examination=how)


def one_date(
    folder: Path, head: PhantomHead, seed: int, without: frozenset[Role] = frozenset()
) -> PhantomStudy:
    """One study of three series; another patient for each seed."""
    return write_study(
        folder, head, seed, 1, FIRST_STUDY, without, Examination(petra(seed), protocols=THREE)
    )
