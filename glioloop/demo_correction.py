"""What a radiologist's viewer sends back: our own SEG, with some segments drawn anew."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt

from converter.parts import headers_of
from converter.series import Series
from dicomseg.facts import SegFacts
from dicomseg.identity import Predecessor, ResultIdentity, tokens_in
from dicomseg.read import CorrectedSeg
from dicomseg.write import write_seg
from glioloop.demo_studies import Masks
from study.errors import RefusedError
from study.tissue import Tissue
from study.volume import Geometry, Volume

CREATOR = "Radiologist^Demo"
DRAWN_OVER = (Tissue.EDEMA, Tissue.NECROSIS, Tissue.ENHANCING)
"""Where outlines meet, each of these covers the ones before it."""


def correct(ours: CorrectedSeg, masks: Masks) -> npt.NDArray[np.uint8]:
    """Our labels, with the segments of ``masks`` replaced.

    Parameters
    ----------
    ours
        The SEG that came back.
    masks
        What is drawn anew, on the same grid. Tissues that are not in it stay as they are.

    Returns
    -------
    ndarray
        `Tissue` values, uint8.
    """
    labels = ours.labels()
    labels[np.isin(labels, [int(tissue) for tissue in masks])] = Tissue.BACKGROUND
    for tissue in DRAWN_OVER:
        if tissue in masks:
            labels[masks[tissue]] = tissue
    return labels


def write_correction(
    labels: npt.NDArray[np.uint8], grid: Geometry, series: Series, facts: SegFacts
) -> bytes:
    """Encode corrected labels as a viewer does: a new instance that names what it replaces.

    Parameters
    ----------
    labels
        `Tissue` values on the grid.
    grid
        Grid of the series.
    series
        The series that our SEG was made on.
    facts
        Header of our SEG.

    Returns
    -------
    bytes
        A Part 10 file.
    """
    tokens = tokens_in(" ".join(facts.descriptions))
    if len(tokens) != 1:
        raise RefusedError(f"SEG {facts.sop_instance_uid} names no result")
    identity = ResultIdentity(
        result_id=next(iter(tokens)),
        model_name="Radiologist",
        model_version="1",
        created=dt.datetime.now(dt.UTC),
        series_number=950,
        predecessor=Predecessor(
            study_uid=facts.study_uid,
            series_uid=facts.series_uid,
            sop_instance_uid=facts.sop_instance_uid,
            sop_class_uid=facts.sop_class_uid,
        ),
        kind=f"correction of {facts.sop_instance_uid}",
        algorithm_type="SEMIAUTOMATIC",
        creator=CREATOR,
        note="corrected",
    )
    return write_seg(Volume(labels, grid), headers_of(series), identity)
