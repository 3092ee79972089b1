"""Pictures as Secondary Captures (PS3.3 section A.8.1), for viewers that show nothing else.

One page is one single-frame instance of Secondary Capture Image Storage: every archive takes that
class and every viewer shows it. The multi-frame classes are younger, are refused by some archives,
and need pages of one size. Pixels are RGB, uncompressed: nothing has to be decoded to show them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DT

from dicomseg.attributes import text_of
from dicomseg.identity import PRODUCT, TOKEN_LENGTH, ResultIdentity, uid_for
from dicomseg.page import DISCLAIMER
from dicomseg.study_modules import carry_study
from dicomseg.wall_clock import on_wall_clock
from study.errors import FailedError, RefusedError

Pixels = npt.NDArray[np.uint8]


# Bad values are repaired or carried over on purpose; pydicom would quote them in warnings.
@disable_value_validation()
def write_captures(
    pages: Sequence[bytes], source: Dataset, identity: ResultIdentity, title: str
) -> list[bytes]:
    """Encode pages as Secondary Captures of one series.

    Parameters
    ----------
    pages
        PNG files, in the order in which they are to be read. They may differ in size. Whatever
        they show is in the pixels: "Not for diagnosis" and the model version are burned in by
        those who draw them.
    source
        Header of any instance of the study; not changed. Patient, study, order, character set and
        time zone are carried over from it, bad descriptive values are left out.
    identity
        Who made it, when, and of what result it is. `kind` names the series, say ``"preview"``;
        the first page has `ResultIdentity.sop_instance_uid`. `note` is not used.
    title
        What the pages are; follows product and result in the (0008,103E) *Series Description*,
        and is cut so that "Not for diagnosis" always follows. ASCII.

    Returns
    -------
    list of bytes
        A Part 10 file for each page, Explicit VR Little Endian; the same for the same arguments.

    Raises
    ------
    RefusedError
        If there is no page, a page is no PNG file, the source names no study, or the title is not
        plain ASCII.
    FailedError
        If what was encoded does not read back as what was meant.

    Notes
    -----
    (0008,0060) *Modality* is OT, other: no modality of PS3.3 section C.7.3.1.1.1 means a picture
    of a result. With MR, the pages would be hung, routed and sent here among the images;
    together with the SOP class and (0028,0301) *Burned In Annotation* YES nothing takes them for
    an image to be segmented. A page has no (0020,0052) *Frame of Reference UID* and an empty
    (0020,0020) *Patient Orientation*: viewers must neither place it in the patient nor write
    their own side markers on it.
    """
    if not pages:
        raise RefusedError("a Secondary Capture needs a page, and there is none")
    if not re.fullmatch(r"[ -\[\]-~]+", title):
        raise RefusedError(f"a title is ASCII without backslash, not {title!r}")
    if not text_of(source, "StudyInstanceUID"):
        raise RefusedError(
            f"(instance {text_of(source, 'SOPInstanceUID') or 'without UID'}) a page needs the "
            "StudyInstanceUID of its study; give a header that has one"
        )
    encoded = []
    for number, page in enumerate(pages, start=1):
        pixels = _pixels(page, number)
        buffer = BytesIO()
        _capture(pixels, number, source, identity, title).save_as(buffer, enforce_file_format=True)
        validate_capture(buffer.getvalue(), pixels)
        encoded.append(buffer.getvalue())
    return encoded


def validate_capture(encoded: bytes, pixels: Pixels) -> None:
    """Compare an encoded page with the picture that it shall show.

    Parameters
    ----------
    encoded
        The Part 10 file.
    pixels
        ``(rows, columns, 3)`` uint8, RGB.

    Raises
    ------
    FailedError
        If it cannot be read, or any pixel differs.
    """
    try:
        dataset = dcmread(BytesIO(encoded))
        shown = dataset.pixel_array
    except (InvalidDicomError, RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise FailedError(f"the encoded page cannot be read back: {error}") from error
    if dataset.PhotometricInterpretation != "RGB" or not np.array_equal(shown, pixels):
        raise FailedError("the encoded page shows another picture than was drawn")


def _pixels(page: bytes, number: int) -> Pixels:
    """A PNG file as ``(rows, columns, 3)``."""
    try:
        with Image.open(BytesIO(page), formats=["PNG"]) as image:
            return np.array(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise RefusedError(f"page {number} is no readable PNG file: {error}") from error


def _capture(
    pixels: Pixels, number: int, source: Dataset, identity: ResultIdentity, title: str
) -> Dataset:
    """One page as a dataset."""
    made: Any = hd.sc.SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=text_of(source, "StudyInstanceUID"),
        series_instance_uid=identity.series_uid,
        series_number=identity.series_number,
        sop_instance_uid=sop_instance_uid_of_page(identity, number),
        instance_number=number,
        manufacturer=PRODUCT,
        manufacturer_model_name=identity.model_name,
        software_versions=identity.algorithm_version,
        device_serial_number="1",
        series_description=_description(identity, title),
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    # The library insists on an orientation; a page of several slices, or of text, has none.
    made.PatientOrientation = None
    made.Laterality = None
    made["PixelData"].VR = "OB"
    made.BurnedInAnnotation = "YES"
    made.ConversionType = "WSD"
    made.DerivationDescription = (
        f"{DISCLAIMER}. Drawn by {PRODUCT}, {identity.model_name} {identity.algorithm_version}"
    )
    carry_study(source, made)
    _set_times(made, source, identity)
    return made  # type: ignore[no-any-return]


def sop_instance_uid_of_page(identity: ResultIdentity, number: int) -> str:
    """(0008,0018) *SOP Instance UID* of a page, counted from 1."""
    if number == 1:
        return identity.sop_instance_uid
    return uid_for(identity.result_id, f"{identity.kind} page {number}")


def _description(identity: ResultIdentity, title: str) -> str:
    """(0008,103E) *Series Description*, at most 64 characters: token, title, disclaimer."""
    head = f"{PRODUCT} {identity.result_id[:TOKEN_LENGTH]} "
    tail = f" - {DISCLAIMER}"
    return head + title[: 64 - len(head) - len(tail)].rstrip() + tail


def _set_times(made: Dataset, source: Dataset, identity: ResultIdentity) -> None:
    """Set what the encoder took from the clock."""
    created = on_wall_clock(identity.created, source)
    day, moment = created.strftime("%Y%m%d"), created.strftime("%H%M%S")
    for what in ("InstanceCreation", "Content", "Series"):
        setattr(made, f"{what}Date", day)
        setattr(made, f"{what}Time", moment)
    made.DateOfSecondaryCapture, made.TimeOfSecondaryCapture = day, moment
    # The last contributor is the encoder itself, with the time of the encoding.
    made.ContributingEquipmentSequence[-1].ContributionDateTime = DT(day + moment)
