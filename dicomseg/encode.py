"""Labels to the bytes of a Segmentation that is known to say what was meant."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset

from dicomseg.identity import Encoding, ResultIdentity
from dicomseg.validate import validate_seg
from dicomseg.write import write_seg
from study.tissue import TUMOUR_TISSUES, Tissue
from study.volume import Volume


def encode_seg(
    labels: Volume,
    sources: Sequence[Dataset],
    identity: ResultIdentity,
    tissues: Sequence[Tissue] = TUMOUR_TISSUES,
    encoding: Encoding = "BINARY",
) -> bytes:
    """Write a Segmentation, read it back, and give it out only when both agree.

    Parameters
    ----------
    labels, sources, identity, tissues, encoding
        As for `dicomseg.write.write_seg`.

    Raises
    ------
    RefusedError
        As `dicomseg.write.write_seg`.
    FailedError
        As `dicomseg.validate.validate_seg`.
    """
    encoded = write_seg(labels, sources, identity, tissues, encoding)
    validate_seg(encoded, labels, tissues)
    return encoded
