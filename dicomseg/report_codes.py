"""Codes of a measurement report.

From PS3.16: CID 7021 (titles), 7469 (measurements), 7470 (linear measurements), 7472 (volume
measurements), 6147 (response criteria), 100 (procedures). What has no code there has one of a
private scheme, as PS3.16 section 8.2 allows, declared in (0008,0110) *Coding Scheme
Identification Sequence*.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.sr.coding import Code as PydicomCode

from dicomseg.codes import Code
from dicomseg.identity import PRODUCT

PRIVATE = "99GLIOLOOP"
"""Designator of the private scheme."""
PRIVATE_NAME = f"Concepts of {PRODUCT}"

ENGLISH = Code("en-US", "RFC5646", "English (United States)")
TITLE = Code("126000", "DCM", "Imaging Measurement Report")
PROCEDURE = Code("25056-3", "LN", "MRI unspecified body region")
"""Of CID 100, which has none of the brain; the site is said with each finding."""
VOLUME = Code("118565006", "SCT", "Volume")
SUMMED = Code("YEKZ", "IBSI", "Volume from Voxel Summation")
"""How a volume is measured: number of voxels times the volume of one."""
LONG_AXIS = Code("103339001", "SCT", "Long axis")
SHORT_AXIS = Code("103340004", "SCT", "Short axis")
"""Largest diameter perpendicular to the long axis in the same slice."""
PRODUCT_OF_AXES = Code("PRODUCT", PRIVATE, "Product of perpendicular diameters")
RANO = Code("C114879", "NCIt", "RANO")
MEASURABLE = Code("MEASURABLE", PRIVATE, "Measurable by size")
YES, NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")
CHANGE = Code("CHANGE", PRIVATE, "Change of volume")
RELATIVE_CHANGE = Code("RELCHANGE", PRIVATE, "Change of volume relative to earlier volume")
ROLE = Code("ROLE", PRIVATE, "Role of the series")

MILLILITRE = Code("mL", "UCUM", "mL")
MILLIMETRE = Code("mm", "UCUM", "mm")
SQUARE_MILLIMETRE = Code("mm2", "UCUM", "mm2")
PERCENT = Code("%", "UCUM", "Percent")

SOURCE_OF_MEASUREMENT = Code("121112", "DCM", "Source of Measurement")
SOURCE = Code("260753009", "SCT", "Source")
COMMENT = Code("121106", "DCM", "Comment")
QUALITATIVE = Code("C0034375", "UMLS", "Qualitative Evaluations")
STUDY_DATE = Code("111060", "DCM", "Study Date")
STUDY_UID = Code("110180", "DCM", "Study Instance UID")
SEG_UID = Code("SEGUID", PRIVATE, "SOP Instance UID of the Segmentation")
TEXT_TITLE = Code("24590-2", "LN", "MRI Head Report")
"""Of CID 7000, for a report of text alone."""
CONCLUSIONS = Code("55110-1", "LN", "Conclusions")
CONCLUSION = Code("121077", "DCM", "Conclusion")
LIBRARY = Code("111028", "DCM", "Image Library")
LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
MODALITY = Code("121139", "DCM", "Modality")
MAGNETIC_RESONANCE = Code("MR", "DCM", "Magnetic Resonance")
SERIES_UID = Code("112002", "DCM", "Series Instance UID")
FRAME_OF_REFERENCE_UID = Code("112227", "DCM", "Frame of Reference UID")

REGION_CODES: Mapping[str, Code] = {
    "enhancing": Code("C113842", "NCIt", "Enhancing Lesion"),
    "core": Code("CORE", PRIVATE, "Tumour core"),
    "whole": Code("108369006", "SCT", "Neoplasm"),
}
"""What a region is, as a finding; keys of `study.tissue.REGIONS`."""
REGION_NAMES: Mapping[str, str] = {
    "enhancing": "Enhancing tumour",
    "core": "Tumour core (necrosis, enhancing)",
    "whole": "Whole tumour (necrosis, edema, enhancing)",
}


def concept(code: Code) -> PydicomCode:
    """The library's spelling of a code."""
    return PydicomCode(code.value, code.scheme, code.meaning)
