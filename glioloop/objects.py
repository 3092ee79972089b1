"""The DICOM objects of a result: SEG, structured report, pictures.

Each is encoded once and stored; a file that is there stays as it is, so that what was delivered is
delivered unchanged however often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import pydicom
from pydicom import Dataset

from converter.parts import headers_of
from converter.series import Series
from converter.volume import to_volume
from dicomseg.answer_page import answer
from dicomseg.capture import write_captures
from dicomseg.delivered import Delivered, measure_delivered
from dicomseg.encode import encode_seg
from dicomseg.identity import LABEL_MAP_KIND, Predecessor, ResultIdentity
from dicomseg.layers import Decisions
from dicomseg.lesions import Measurements
from dicomseg.preview import montage
from dicomseg.report import Report, Sources, measure_seg, write_report, write_text_report
from dicomseg.trend_change import Earlier
from dicomseg.trend_page import TrendPoint, trend
from glioloop import durable, failures, results
from glioloop.history import Point
from study.errors import GlioloopError
from study.tissue import Role, Tissue
from study.volume import Volume

REPORT_NUMBER, PICTURES_NUMBER, LABEL_MAP_NUMBER = 902, 903, 906
"""(0020,0011) *Series Number* of report, pictures and label map; the SEG's is 901."""


@dataclass(frozen=True)
class Told:
    """What the objects of a result tell beyond its labels.

    Parameters
    ----------
    warnings
        Sentences.
    others
        The patient's other studies (`glioloop.history.of_patient`).
    study_date
        (0008,0020) *Study Date* of this one; empty where it has none.
    supersedes
        Id of the older result of the same study that this one takes the place of; empty for none.
    supersedes_report
        Id under which the latest report of that result lies.
    corrected_by
        Who outlined it; empty for a network's own.
    """

    warnings: tuple[str, ...] = ()
    others: tuple[Point, ...] = ()
    study_date: str = ""
    supersedes: str = ""
    supersedes_report: str = ""
    corrected_by: str = field(default="", repr=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Told:
        """From plain values."""
        others = tuple(Point(**point) for point in values["others"])
        return cls(**{**values, "warnings": tuple(values["warnings"]), "others": others})


@dataclass(frozen=True)
class Spoken:
    """What a corrected SEG speaks of.

    Parameters
    ----------
    tissues
        Those that a person outlined, or erased: writers drop empty segments.
    decided
        What a person said that its segments are, where they do not say so themselves.
    joined
        All that it and older files of its series hold together, where there are such layers.
    """

    tissues: Sequence[Tissue]
    decided: Decisions
    joined: Delivered | None = None


def write(
    folder: Path,
    labels: Volume,
    chosen: Mapping[Role, Series],
    identity: ResultIdentity,
    told: Told,
    *,
    label_map: bool = False,
) -> list[str]:
    """Write what a result delivers.

    Parameters
    ----------
    folder
        Of the result.
    labels
        `study.tissue.Tissue` values on the grid of T1gd.
    chosen
        The series that were used; T1gd among them.
    identity
        Of the SEG; those of the others derive from it.
    told
        What else there is to tell.
    label_map
        Whether the SEG is written as a label map, too.

    Returns
    -------
    list of str
        Why a label map, a report or a picture could not be made: the SEG is delivered all the same.

    Raises
    ------
    RefusedError, FailedError
        As `dicomseg.encode.encode_seg`.
    """
    sources = {role: headers_of(series) for role, series in chosen.items()}
    grid = sources[Role.T1GD]
    durable.once(folder / results.SEG, lambda: encode_seg(labels, grid, identity))
    problems = []
    if label_map:
        try:
            failures.guarded(_write_label_map, folder, labels, grid, identity, told.supersedes)
        except GlioloopError as error:
            problems.append(f"label map: {error}")
    seg = pydicom.dcmread(folder / results.SEG)
    try:
        measured = failures.guarded(measure_seg, seg, sources)
    except GlioloopError as error:
        return [*problems, f"measure_seg: {error}"]
    for write_some, given in (
        (_write_report, (seg, sources, identity, told, measured)),
        (_write_pictures, (chosen[Role.T1GD], grid[0], labels, identity, told, measured)),
    ):
        try:
            failures.guarded(write_some, folder, *given)
        except GlioloopError as error:
            problems.append(f"{write_some.__name__.strip('_')}: {error}")
    return problems


def _write_label_map(
    folder: Path,
    labels: Volume,
    grid: Sequence[Dataset],
    identity: ResultIdentity,
    supersedes: str,
) -> None:
    """The SEG as a label map: another object, of the same outline and tracking UIDs."""
    before = identity.predecessor
    if (
        supersedes
        and before is not None
        and (folder.parent / supersedes / results.LABEL_MAP).is_file()
    ):
        before = Predecessor(**results.predecessor(before.study_uid, supersedes, LABEL_MAP_KIND))
    named = replace(
        identity, kind=LABEL_MAP_KIND, series_number=LABEL_MAP_NUMBER, predecessor=before
    )
    durable.once(
        folder / results.LABEL_MAP, lambda: encode_seg(labels, grid, named, encoding="LABELMAP")
    )


def _write_report(
    folder: Path,
    seg: Dataset,
    sources: Sources,
    identity: ResultIdentity,
    told: Told,
    measured: Measurements,
) -> None:
    """The structured report."""
    report = Report(measured, told.warnings, tuple(map(_earlier, told.others)))
    named = _report_identity(folder, identity, told.supersedes_report)
    durable.once(folder / results.SR, lambda: write_report(seg, sources, named, report))


def _write_pictures(
    folder: Path,
    t1gd: Series,
    source: Dataset,
    labels: Volume,
    identity: ResultIdentity,
    told: Told,
    measured: Measurements,
) -> None:
    """The Secondary Captures."""
    pages = _pages(to_volume(t1gd), labels, identity, told, measured)
    write_pages(folder, pages, source, identity, "preview")


def write_correction(
    folder: Path,
    seg_file: Path,
    chosen: Mapping[Role, Series],
    identity: ResultIdentity,
    told: Told,
    spoken: Spoken,
) -> None:
    """Write the report of a corrected SEG, or of a result's own after a correction was withdrawn.

    Parameters
    ----------
    folder
        Where it is written.
    seg_file
        The corrected SEG as it came, or the result's own.
    chosen
        The series that the result was made from.
    identity
        Of the report.
    told
        What else there is to tell, and who corrected it.
    spoken
        What the SEG speaks of.

    Raises
    ------
    RefusedError, HeldError, FailedError
        As `dicomseg.report.write_report`.
    """
    sources = {role: headers_of(series) for role, series in chosen.items()}
    seg = pydicom.dcmread(seg_file)
    measured = (
        measure_delivered(spoken.joined, spoken.tissues)
        if spoken.joined
        else measure_seg(seg, sources, spoken.tissues, spoken.decided)
    )
    earlier = tuple(map(_earlier, told.others))
    report = Report(
        measured, told.warnings, earlier, told.corrected_by, spoken.decided, spoken.joined
    )
    durable.once(folder / results.SR, lambda: write_report(seg, sources, identity, report))


def _pages(
    background: Volume,
    labels: Volume,
    identity: ResultIdentity,
    told: Told,
    measured: Measurements,
) -> list[bytes]:
    """Slices with the labels over them; volumes over time where there are other dates."""
    about: _About = {
        "model_version": identity.algorithm_version,
        "title": identity.series_description,
        "warnings": told.warnings,
    }
    pages = [montage(background, labels, **about)]
    before = [point for point in told.others if point.date <= told.study_date]
    if before:
        here = TrendPoint(
            _day(told.study_date),
            dict(measured.volumes.regions),
            corrected=False,
            head=identity.head_version,
        )
        pages.append(trend([*map(_trend_point, before), here], **about))
    return pages


class _About(TypedDict):
    """What every page says of itself."""

    model_version: str
    title: str
    warnings: tuple[str, ...]


def write_answer(
    folder: Path, source: Dataset, identity: ResultIdentity, sentences: Sequence[str]
) -> None:
    """Write the page and the report that say why a study was not segmented."""
    named = replace(identity, kind=results.REPORT_KIND, series_number=REPORT_NUMBER)
    durable.once(folder / results.SR, lambda: write_text_report(source, named, sentences))
    page = answer("This study was not segmented", sentences, version=identity.model_version)
    write_pages(folder, [page], source, identity, "not segmented")


def write_pages(
    folder: Path, pages: Sequence[bytes], source: Dataset, identity: ResultIdentity, title: str
) -> None:
    """Write pages (PNG) as Secondary Captures of one series."""
    named = replace(
        identity, kind="preview", series_number=PICTURES_NUMBER, predecessor=None, note=""
    )
    for number, encoded in enumerate(write_captures(pages, source, named, title), start=1):
        durable.once(folder / results.PICTURES.format(number), partial(bytes, encoded))


def _report_identity(folder: Path, identity: ResultIdentity, supersedes: str) -> ResultIdentity:
    """Identity of a result's report, which takes the place of the older result's latest one."""
    kind = results.REPORT_KIND
    named = replace(identity, kind=kind, series_number=REPORT_NUMBER, predecessor=None)
    older_report = folder.parent / supersedes / results.SR
    if not supersedes or identity.predecessor is None or not older_report.is_file():
        return named
    before = results.predecessor(identity.predecessor.study_uid, supersedes, kind)
    return replace(named, predecessor=Predecessor(**before))


def _day(text: str) -> date:
    """A DICOM date."""
    return date.fromisoformat(text)


def _trend_point(point: Point) -> TrendPoint:
    """A study on the page of volumes."""
    return TrendPoint(_day(point.date), dict(point.volumes_ml), point.corrected, point.head)


def _earlier(point: Point) -> Earlier:
    """A study in the report."""
    return Earlier(
        date=point.date,
        study_uid=point.study_uid,
        seg_sop_instance_uid=point.sop_instance_uid,
        volumes=dict(point.volumes_ml),
        corrected=point.corrected,
        seg_series_uid=point.series_uid,
    )
