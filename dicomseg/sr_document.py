"""A Structured Report as a file: the modules around its content tree (PS3.3 section C.17)."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset
from pydicom.charset import convert_encodings, custom_encoders
from pydicom.dataset import FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRLittleEndian

from dicomseg.attributes import text_of
from dicomseg.identity import PRODUCT, ResultIdentity
from dicomseg.report_codes import PRIVATE, PRIVATE_NAME
from dicomseg.study_modules import carry_study
from dicomseg.wall_clock import on_wall_clock
from dicomseg.write import predecessor_item
from study.errors import RefusedError

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
LONGEST_TEXT = 1024
"""Characters of a sentence that are kept."""
NEAREST = {"\u2013": "-", "\u2014": "-", "\u2019": "'", "\u2265": ">=", "\u2264": "<=",
           "\u00df": "ss", "\u00f8": "o", "\u00d8": "O", "\u00e6": "ae", "\u00c6": "AE",
           "\u0142": "l", "\u0141": "L", "\u0111": "d", "\u0110": "D"}  # fmt: skip
"""ASCII for what Unicode itself does not take apart."""


@dataclass(frozen=True)
class Evidence:
    """An instance that a report refers to."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def evidence_of(instance: Dataset) -> Evidence:
    """An instance by its header."""
    return Evidence(
        text_of(instance, "StudyInstanceUID"),
        text_of(instance, "SeriesInstanceUID"),
        text_of(instance, "SOPClassUID"),
        text_of(instance, "SOPInstanceUID"),
    )


def encode_document(
    sop_class_uid: str,
    root: Dataset,
    source: Dataset,
    identity: ResultIdentity,
    evidence: Sequence[Evidence] = (),
) -> bytes:
    """Encode a content tree as a preliminary, unverified document.

    Parameters
    ----------
    sop_class_uid
        Basic Text SR or Comprehensive SR.
    root
        Root content item, a CONTAINER.
    source
        Any instance of the study, headers suffice: patient, study, order, character set and time
        zone come from it. It is not changed.
    identity
        Who made it, when, and of what result it is.
    evidence
        All that the tree refers to.

    Returns
    -------
    bytes
        A Part 10 file, Explicit VR Little Endian.

    Raises
    ------
    RefusedError
        If the source names no study.
    """
    study_uid = text_of(source, "StudyInstanceUID")
    if not study_uid:
        raise RefusedError(
            f"(instance {text_of(source, 'SOPInstanceUID') or 'without UID'}) a report needs the "
            "StudyInstanceUID of its study; give a header that has one"
        )
    made = Dataset()
    made.update(root)
    made.SOPClassUID, made.SOPInstanceUID = sop_class_uid, identity.sop_instance_uid
    made.StudyInstanceUID, made.SeriesInstanceUID = study_uid, identity.series_uid
    made.Modality, made.SeriesNumber, made.InstanceNumber = "SR", identity.series_number, 1
    made.SeriesDescription = identity.series_description
    made.Manufacturer, made.ManufacturerModelName = PRODUCT, identity.model_name
    made.SoftwareVersions, made.DeviceSerialNumber = identity.algorithm_version, "1"
    made.CompletionFlag = "COMPLETE"
    made.PreliminaryFlag, made.VerificationFlag = "PRELIMINARY", "UNVERIFIED"
    made.PerformedProcedureCodeSequence = []
    made.ReferencedPerformedProcedureStepSequence = []
    same = [e for e in evidence if e.study_uid == study_uid]
    other = [e for e in evidence if e.study_uid != study_uid]
    if same:
        made.CurrentRequestedProcedureEvidenceSequence = _references(same)
    if other:
        made.PertinentOtherEvidenceSequence = _references(other)
    if identity.predecessor is not None:
        made.PredecessorDocumentsSequence = [predecessor_item(identity.predecessor)]
    if sop_class_uid != BASIC_TEXT_SR:
        made.CodingSchemeIdentificationSequence = [_private_scheme()]
    carry_study(source, made)
    # A character set may be missing, but not empty (PS3.3 section C.12.1: Type 1C).
    if "SpecificCharacterSet" in made and not made.SpecificCharacterSet:
        del made.SpecificCharacterSet
    _set_times(made, source, identity)
    return _part_10(made)


def encodable(text: str, source: Dataset) -> str:
    """A text in the characters that a source declares; others become their nearest ASCII ones.

    Control characters are spaces; only the first `LONGEST_TEXT` characters are kept.
    """
    plain = "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT]).strip()
    if plain.isascii():
        return plain
    encodings = _encodings(source)
    return "".join(c if _is_in(c, encodings) else _ascii(c) for c in plain)


def _ascii(character: str) -> str:
    """The nearest ASCII letters of a character, or a question mark."""
    if character in NEAREST:
        return NEAREST[character]
    # A letter and its accent come apart, and the letter stays.
    apart = unicodedata.normalize("NFKD", character)
    letters = "".join(c for c in apart if not unicodedata.combining(c))
    return letters.encode("ascii", "replace").decode("ascii")


def _encodings(source: Dataset) -> list[str]:
    """Python's names of the character sets that a source declares; none where one is unknown."""
    declared = source.get("SpecificCharacterSet") or ""
    names = list(declared) if isinstance(declared, MultiValue) else [str(declared)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return convert_encodings(names)
    except (UserWarning, LookupError, ValueError):
        return []


def _is_in(character: str, encodings: Sequence[str]) -> bool:
    """Whether a character can be written in one of some encodings, whatever stands beside it."""
    return character.isascii() or any(_can(encoding, character) for encoding in encodings)


def _can(encoding: str, character: str) -> bool:
    """Whether an encoding has a character that is not ASCII.

    pydicom takes the default repertoire, which is ASCII (PS3.5 section 6.1.2.1), for Latin 1; and
    JIS X 0201 has no katakana beside Latin letters.
    """
    if encoding in {"iso8859", "shift_jis"}:
        return False
    try:
        if encoding in custom_encoders:
            custom_encoders[encoding](character, errors="strict")
        else:
            character.encode(encoding)
    except UnicodeError:
        return False
    return True


def _references(evidence: Iterable[Evidence]) -> list[Dataset]:
    """Items of an evidence sequence: study, series, instance (PS3.3 table C.17-3b)."""
    studies: dict[str, dict[str, dict[str, str]]] = {}
    for e in evidence:
        series = studies.setdefault(e.study_uid, {}).setdefault(e.series_uid, {})
        series[e.sop_instance_uid] = e.sop_class_uid
    found = []
    for study_uid, of_study in studies.items():
        study = Dataset()
        study.StudyInstanceUID, study.ReferencedSeriesSequence = study_uid, []
        for series_uid, of_series in of_study.items():
            item = Dataset()
            item.SeriesInstanceUID, item.ReferencedSOPSequence = series_uid, []
            for instance_uid, class_uid in of_series.items():
                reference = Dataset()
                reference.ReferencedSOPClassUID = class_uid
                reference.ReferencedSOPInstanceUID = instance_uid
                item.ReferencedSOPSequence.append(reference)
            study.ReferencedSeriesSequence.append(item)
        found.append(study)
    return found


def _private_scheme() -> Dataset:
    """Item of (0008,0110) *Coding Scheme Identification Sequence*."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE
    item.CodingSchemeName = PRIVATE_NAME
    item.CodingSchemeResponsibleOrganization = PRODUCT
    return item


def _set_times(made: Dataset, source: Dataset, identity: ResultIdentity) -> None:
    """Dates and times, all those of the result."""
    created = on_wall_clock(identity.created, source)
    for what in ("InstanceCreation", "Content", "Series"):
        setattr(made, f"{what}Date", created.strftime("%Y%m%d"))
        setattr(made, f"{what}Time", created.strftime("%H%M%S"))


def _part_10(made: Dataset) -> bytes:
    """A dataset as a file."""
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
