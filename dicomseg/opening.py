"""Opening a file that shall be a Segmentation, and naming what is wrong with it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from study.errors import RefusedError

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"


DAMAGE = (
    RecursionError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    struct.error,
    BytesLengthException,
)
"""What pydicom raises on damaged files."""


def open_seg(data: Path | bytes, *, pixels: bool = True) -> Dataset:
    """Parse a Part 10 file that shall be a Segmentation.

    Raises
    ------
    RefusedError
        If it is no Part 10 file, is nested too deeply, is deflated as a whole, or of another SOP
        class.
    """
    source = BytesIO(data) if isinstance(data, bytes) else data
    with refusing_damage():
        dataset = dcmread(source, stop_before_pixels=not pixels, force=False)
        transfer_syntax = dataset.file_meta.get("TransferSyntaxUID", "")
        sop_class = str(dataset.get("SOPClassUID", ""))
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        raise RefusedError("it is deflated as a whole; send it in Explicit VR Little Endian")
    if sop_class not in {SEGMENTATION, LABEL_MAP_SEGMENTATION}:
        raise RefusedError(f"its SOP class is {sop_class or 'missing'}; a Segmentation is needed")
    return dataset


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what a damaged file makes the parser raise into a refusal.

    Sequences are parsed when they are first looked at, so that damage shows late.
    """
    try:
        yield
    except RefusedError:
        raise
    except InvalidDicomError as error:
        raise RefusedError("it is no DICOM Part 10 file") from error
    except OSError as error:
        # The disk's errors have a number, pydicom's own have not.
        if error.errno is not None:
            raise
        raise RefusedError("it ends too early, or is damaged") from error
    except DAMAGE as error:
        raise RefusedError(f"it cannot be parsed as DICOM ({type(error).__name__})") from error
