"""Content trees of reports: TID 1500 around its measurement groups, and plain text (TID 2000)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import highdicom as hd
from pydicom import Dataset
from pydicom.sr.codedict import codes

from dicomseg import report_codes as code
from dicomseg.attributes import text_of
from dicomseg.identity import PRODUCT, ResultIdentity, uid_for
from dicomseg.image_planes import in_order
from dicomseg.lesions import SMALLEST_ML, SMALLEST_VOXELS, Measurements
from dicomseg.report_codes import concept
from dicomseg.report_groups import Group, spoken_date
from dicomseg.trend_change import Change
from study.tissue import Role

DISCLAIMER = "Not for diagnosis"
CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS
CONTEXT = hd.sr.RelationshipTypeValues.HAS_ACQ_CONTEXT


def remarks(
    measured: Measurements,
    identity: ResultIdentity,
    person: str,
    warnings: Sequence[str],
    changed: Sequence[Change],
) -> list[str]:
    """Sentences of a report: what it is, who outlined it, what to mind.

    Parameters
    ----------
    measured
        For what is too small to be listed.
    identity
        Model and head.
    person
        Who outlined it; empty for a network's own.
    warnings
        Sentences of the caller.
    changed
        What it is compared with; outlines by persons are named.
    """
    model = f"{PRODUCT}, {identity.model_name} {identity.algorithm_version}"
    said = [f"{DISCLAIMER}. Preliminary and unverified; made by {model}."]
    if person:
        said.append("The outline was corrected by a person, who is named as observer.")
    if measured.specks:
        said.append(
            f"{measured.specks} enhancing components below {SMALLEST_ML} mL or "
            f"{SMALLEST_VOXELS} voxels, {measured.specks_ml:.3f} mL together, are not listed as "
            "lesions; they are part of the volumes."
        )
    said += [
        f"The earlier outline of {spoken_date(date)} was corrected by a person."
        for date in sorted({c.earlier.date for c in changed if c.earlier.corrected})
    ]
    return [*said, *warnings]


def report_content(
    groups: Sequence[Group],
    sources: Mapping[Role, Sequence[Dataset]],
    identity: ResultIdentity,
    person: str,
    sentences: Sequence[str],
) -> Dataset:
    """Root of a measurement report.

    Parameters
    ----------
    groups
        Measurement groups, at least one.
    sources
        Series that were used; each is a group of the image library (TID 1600).
    identity
        Who made it.
    person
        Who outlined it, a second observer; or empty.
    sentences
        Comments, in the container of qualitative evaluations.
    """
    report: Any = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(_device(identity)),
        procedure_reported=concept(code.PROCEDURE),
        imaging_measurements=groups,
        title=concept(code.TITLE),
    )
    root: Dataset = report[0]
    items = root.ContentSequence
    if person:
        # After the device (TID 1001), before the procedure that is reported.
        at = next(n for n, item in enumerate(items) if item.name == codes.DCM.ProcedureReported)
        for item in reversed(_person(person)):
            items.insert(at, item)
    at = next(n for n, item in enumerate(items) if item.name == codes.DCM.ImagingMeasurements)
    items.insert(at, _library(sources))
    items.append(_comments(sentences))
    return root


def text_content(sentences: Sequence[str], identity: ResultIdentity) -> Dataset:
    """Root of a report of text alone: one section, a paragraph for each sentence (TID 2000)."""
    root = hd.sr.ContainerContentItem(concept(code.TEXT_TITLE), template_id="2000")
    section = hd.sr.ContainerContentItem(concept(code.CONCLUSIONS), relationship_type=CONTAINS)
    model = f"{PRODUCT}, {identity.model_name} {identity.algorithm_version}"
    section.ContentSequence = hd.sr.ContentSequence(
        [
            hd.sr.TextContentItem(concept(code.CONCLUSION), sentence, CONTAINS)
            for sentence in (*sentences, f"{DISCLAIMER}. Made by {model}.")
        ]
    )
    root.ContentSequence = hd.sr.ContentSequence()
    root.ContentSequence.extend(
        hd.sr.LanguageOfContentItemAndDescendants(hd.sr.CodedConcept(*code.ENGLISH))
    )
    root.ContentSequence.extend(hd.sr.ObservationContext(_device(identity)))
    root.ContentSequence.append(section)
    return root


def _device(identity: ResultIdentity) -> hd.sr.ObserverContext:
    """The observer that measured: this model with this head (TID 1004)."""
    version = identity.algorithm_version
    return hd.sr.ObserverContext(
        codes.DCM.Device,
        hd.sr.DeviceObserverIdentifyingAttributes(
            uid=uid_for(f"{identity.model_name} {version}", "device"),
            name=f"{identity.model_name} {version}",
            manufacturer_name=PRODUCT,
            model_name=identity.model_name,
        ),
    )


def _person(name: str) -> list[hd.sr.ContentItem]:
    """A person as observer (TID 1003)."""
    # A caret says that one word is a family name.
    whole = name.replace("\\", " ").replace("=", " ")[:64]
    attributes = hd.sr.PersonObserverIdentifyingAttributes(whole if "^" in whole else f"{whole}^")
    observer: Any = hd.sr.ObserverContext(codes.DCM.Person, attributes)
    return list(observer)


def _library(sources: Mapping[Role, Sequence[Dataset]]) -> hd.sr.ContainerContentItem:
    """Image library: a group for each series, in the order of the network's channels."""
    library = hd.sr.ContainerContentItem(concept(code.LIBRARY), relationship_type=CONTAINS)
    library.ContentSequence = hd.sr.ContentSequence(
        [_library_group(role, sources[role]) for role in Role if sources.get(role)]
    )
    return library


def _library_group(role: Role, series: Sequence[Dataset]) -> hd.sr.ContainerContentItem:
    """One series: what all its images share, then each image (TID 1600, 1602)."""
    group = hd.sr.ContainerContentItem(concept(code.LIBRARY_GROUP), relationship_type=CONTAINS)
    first = in_order(series)[0]
    items: list[hd.sr.ContentItem] = [
        hd.sr.CodeContentItem(concept(code.MODALITY), concept(code.MAGNETIC_RESONANCE), CONTEXT),
        hd.sr.UIDRefContentItem(
            concept(code.SERIES_UID), text_of(first, "SeriesInstanceUID"), CONTEXT
        ),
    ]
    if text_of(first, "FrameOfReferenceUID"):
        items.append(
            hd.sr.UIDRefContentItem(
                concept(code.FRAME_OF_REFERENCE_UID), text_of(first, "FrameOfReferenceUID"), CONTEXT
            )
        )
    items.append(hd.sr.TextContentItem(concept(code.ROLE), role.value, CONTEXT))
    items += [
        hd.sr.ImageContentItem(
            concept(code.SOURCE),
            text_of(image, "SOPClassUID"),
            text_of(image, "SOPInstanceUID"),
            relationship_type=CONTAINS,
        )
        for image in in_order(series)
    ]
    group.ContentSequence = hd.sr.ContentSequence(items)
    return group


def _comments(sentences: Sequence[str]) -> hd.sr.ContainerContentItem:
    """Sentences as comments (TID 1500, row of qualitative evaluations)."""
    container = hd.sr.ContainerContentItem(concept(code.QUALITATIVE), relationship_type=CONTAINS)
    container.ContentSequence = hd.sr.ContentSequence(
        [
            hd.sr.TextContentItem(concept(code.COMMENT), sentence, CONTAINS)
            for sentence in sentences
            if sentence
        ]
    )
    return container
