"""Patient, study and order of a new object, byte for byte those of a source where these are valid.

Text is copied as it is encoded: decoding a name and encoding it again loses characters that pydicom
knows only one way (ISO_IR 13, half-width katakana), or that the source declares wrongly; an archive
that compares the bytes would see another patient.
"""

from __future__ import annotations

import copy
from typing import Any

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomseg.headers import PATIENT_AND_STUDY, VERBATIM, encoder_headers
from dicomseg.planes import Plane
from dicomseg.wall_clock import zone_of

IDENTIFYING = tuple(keyword for keyword in VERBATIM if keyword != "PositionReferenceIndicator")
"""Carried over as it is, whatever it is; what is descriptive is carried over where valid, else
shortened, emptied or left out as `dicomseg.headers` does."""
TEXT = {"SH", "LO", "PN"}
"""Value representations that (0008,0005) *Specific Character Set* governs."""
NOWHERE = Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (1.0, 1.0))


# Bad values are repaired or carried over on purpose; pydicom would quote them in warnings.
@disable_value_validation()
def carry_study(source: Dataset, made: Dataset) -> None:
    """Put an object into the study of another.

    Parameters
    ----------
    source
        Any instance of the study, headers suffice. Its text is taken over unread where nobody has
        decoded it before. Its values are not changed.
    made
        Gets the attributes of the modules Patient, General Study and Patient Study (PS3.3 sections
        C.7.1.1, C.7.2.1, C.7.2.2) but for *Study Instance UID*, and of SOP Common the character
        set and the time zone, each as the source has it. A time zone that is none is left out.
    """
    unread = {keyword: _unread(source, keyword) for keyword in (*IDENTIFYING, *PATIENT_AND_STUDY)}
    # Where the source lies does not matter: only patient and study are taken from the header.
    header = encoder_headers([source], [NOWHERE], 1.0)[0]
    if "SpecificCharacterSet" in source:
        made["SpecificCharacterSet"] = copy.deepcopy(source["SpecificCharacterSet"])
    for keyword in (*IDENTIFYING, *PATIENT_AND_STUDY):
        raw = unread[keyword]
        is_whole = keyword in IDENTIFYING or (
            keyword in header and keyword in source and header[keyword] == source[keyword]
        )
        if raw is not None and is_whole:
            made[keyword] = raw
        elif keyword in IDENTIFYING and keyword in source:
            made[keyword] = copy.deepcopy(source[keyword])
        elif keyword in header:
            made[keyword] = header[keyword]
    if zone_of(source) is None and "TimezoneOffsetFromUTC" in made:
        del made["TimezoneOffsetFromUTC"]
    # Tells the writer that undecoded text is in the object's own character set already.
    named = made.get("SpecificCharacterSet")
    made.set_original_encoding(
        is_implicit_vr=False,
        is_little_endian=True,
        character_encoding=convert_encodings(named) if named else default_encoding,
    )


def _unread(source: Dataset, keyword: str) -> RawDataElement | None:
    """A text as the bytes that stood in the file; None where it was decoded, or is no text."""
    tag = Tag(tag_for_keyword(keyword) or keyword)
    element: Any = source.get_item(tag)
    if not isinstance(element, RawDataElement) or dictionary_VR(tag) not in TEXT:
        return None
    value = element.value or b""
    return element._replace(
        VR=dictionary_VR(tag),
        value=value + b" " * (len(value) % 2),
        length=len(value) + len(value) % 2,
        is_implicit_VR=False,
    )
