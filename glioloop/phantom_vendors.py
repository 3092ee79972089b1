"""Vendors of the imagined scanners: how each names, times and slices its series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.scanner import NATIVE, SCANNERS, Scanner
from glioloop.phantom_headers import SKYRA, Protocol, Vendor
from study.tissue import Role

FLAIR, T1GD, T2 = (role.value for role in Role)
COVERED_MM = 152.0
"""Extent of the slices of a series, towards the head."""
_FIELD = {"2D": (256, 208, 0.9), "3D": (240, 192, 1.0)}
"""Rows, columns and their distance in mm."""
_WEIGHTING = {FLAIR: 150.0, T2: 150.0}
"""Refocusing angle in degrees of turbo spin echoes."""


@dataclass(frozen=True)
class Naming:
    """How a vendor names a series: description, sequence, variant, name of the sequence."""

    description: str
    sequence: str
    variant: str
    name: str = ""
    acquisition: str = "2D"


VENDORS: Mapping[str, tuple[Vendor, Mapping[str, Naming]]] = {
    SCANNERS[0].name: (
        SKYRA,
        {
            NATIVE: Naming("t1_tse_tra", "SE", "SK", "*tse2d1_3"),
            FLAIR: Naming("t2_tirm_tra_dark-fluid", "SE\\IR", "SK\\SP\\MP", "*tir2d1_16"),
            T2: Naming("t2_tse_tra", "SE", "SK\\SP", "*tse2d1_17"),
            T1GD: Naming("t1_tse_tra +Gd", "SE", "SK", "*tse2d1_3"),
        },
    ),
    SCANNERS[1].name: (
        Vendor("GE MEDICAL SYSTEMS", "SIGNA EXCITE", "11", "GEMR2", "51002", 1.5, 63.9),
        {
            NATIVE: Naming("Ax T1 SE", "SE", "NONE"),
            FLAIR: Naming("Ax T2 FLAIR", "SE\\IR", "SK"),
            T2: Naming("Ax T2 FRFSE", "SE", "SK"),
            T1GD: Naming("Ax T1 SE +C", "SE", "NONE"),
        },
    ),
    SCANNERS[2].name: (
        Vendor("Philips Medical Systems", "Ingenia", "5.1.7", "PHMR3", "53003", 3, 127.8),
        {
            NATIVE: Naming("sT1W_3D_TFE", "GR\\IR", "MP", acquisition="3D"),
            FLAIR: Naming("T2W_FLAIR SENSE", "IR", "SK"),
            T2: Naming("T2W_TSE SENSE", "SE", "SK"),
            T1GD: Naming("sT1W_3D_TFE +C", "GR\\IR", "MP", acquisition="3D"),
        },
    ),
    SCANNERS[3].name: (
        Vendor("TOSHIBA", "MRT200", "V2.30", "TOMR4", "54004", 1.5, 63.9),
        {
            NATIVE: Naming("3D T1 FFE", "GR", "SP", acquisition="3D"),
            FLAIR: Naming("FLAIR Ax", "SE\\IR", "SK"),
            T2: Naming("T2 FSE Ax", "SE", "SK"),
            T1GD: Naming("3D T1 FFE Gd", "GR", "SP", acquisition="3D"),
        },
    ),
}
"""By the name of the scanner."""


def vendor_of(scanner: Scanner) -> Vendor:
    """Who built a scanner of `engine.scanner.SCANNERS`."""
    return VENDORS[scanner.name][0]


def protocols_of(scanner: Scanner) -> tuple[Protocol, ...]:
    """The series that a scanner makes, T1 before contrast first and T1gd last."""
    names = VENDORS[scanner.name][1]
    order = (NATIVE, FLAIR, T2, T1GD)
    return tuple(_protocol(scanner, contrast, names[contrast]) for contrast in order)


def _protocol(scanner: Scanner, contrast: str, naming: Naming) -> Protocol:
    """One series with the scanner's times and slices."""
    thickness = scanner.thickness[contrast]
    rows, columns, spacing = _FIELD[naming.acquisition]
    tr, te, ti, flip = _times(scanner, contrast)
    return Protocol(
        naming.description,
        contrast,
        naming.sequence,
        naming.variant,
        naming.name,
        te,
        tr,
        ti,
        flip,
        agent="Gadobutrol 7.5 ml" if contrast == T1GD else "",
        image_type=("ORIGINAL", "PRIMARY", "M", "ND"),
        shape=(int(np.ceil(COVERED_MM / thickness)), rows, columns),
        spacing=(thickness, spacing, spacing),
        thickness=thickness,
        tilt_deg=5.0 if contrast == FLAIR and naming.acquisition == "2D" else 0.0,
        shift_mm=(0.8, -0.6, 1.0) if contrast == FLAIR else (0.0, 0.0, 0.0),
        acquisition=naming.acquisition,
    )


def _times(scanner: Scanner, contrast: str) -> tuple[float, float, float | None, float]:
    """Repetition, echo and inversion time in ms, flip angle in degrees."""
    if contrast == FLAIR:
        return (*scanner.flair, round(scanner.flair_ti, 0), _WEIGHTING[FLAIR])
    if contrast == T2:
        return (*scanner.t2, None, _WEIGHTING[T2])
    tr, te, third = scanner.t1
    if scanner.t1_style == "inversion recovery":
        return tr, te, third, 8.0
    return tr, te, None, third if scanner.t1_style == "spoiled gradient echo" else 90.0
