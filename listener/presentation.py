"""What the listener negotiates, and what of it is kept.

One refused presentation context makes some senders fail their whole job, so every storage SOP
class is accepted: the Standard's, its retired ones, and those private ones that MR scanners and
their workstations send along with the images. What Glioloop has no use for is answered with
0x0000 and dropped.
"""

from __future__ import annotations

from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts, StoragePresentationContexts
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import register_uid, uid_to_service_class

VERIFICATION = UID("1.2.840.10008.1.1")

MR_SOP_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image Storage
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image Storage
    }
)
SEG_SOP_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation Storage
        "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation Storage
    }
)
KEPT = MR_SOP_CLASSES | SEG_SOP_CLASSES
"""SOP classes whose instances are kept; the bytes of any other are dropped."""

PRIVATE_STORAGE = (
    "1.2.840.113619.4.26",  # GE 3D Model
    "1.2.840.113619.4.27",  # GE eNTEGRA Protocol or NM Genie
    "1.2.840.113619.4.30",  # GE PET Raw Data
    "1.3.12.2.1107.5.9.1",  # Siemens CSA Non-Image
    "1.3.12.2.1107.5.99.3.10",  # Siemens CT MR Volume
    "1.3.12.2.1107.5.99.3.11",  # Siemens AX Frame Sets
    "1.3.46.670589.5.0.1",  # Philips 3D Volume, and its relatives
    "1.3.46.670589.5.0.1.1",
    "1.3.46.670589.5.0.2",
    "1.3.46.670589.5.0.2.1",
    "1.3.46.670589.5.0.3",
    "1.3.46.670589.5.0.3.1",
    "1.3.46.670589.5.0.8",
    "1.3.46.670589.5.0.9",
    "1.3.46.670589.5.0.10",
    "1.3.46.670589.5.0.11",
    "1.3.46.670589.5.0.12",
    "1.3.46.670589.5.0.13",
    "1.3.46.670589.5.0.14",
    "1.3.46.670589.11.0.0.12.1",  # Philips MR Spectrum
    "1.3.46.670589.11.0.0.12.2",  # Philips MR Series Data
    "1.3.46.670589.11.0.0.12.3",  # Philips MR Color Image
    "1.3.46.670589.11.0.0.12.4",  # Philips MR Examcard
)
"""Private storage SOP classes that come along with MR studies."""

KEPT_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    JPEG2000,
)
"""Transfer syntaxes of what is kept. Deflated is not among them: a small object can inflate to any
size, and nor is the retired big endian."""

DROPPED_SYNTAXES = (*KEPT_SYNTAXES, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
"""Transfer syntaxes of what is dropped unseen: lossy ones too."""


def contexts() -> list[PresentationContext]:
    """Presentation contexts of the SCP: Verification and every storage SOP class.

    The limit of 128 contexts is the requestor's (PS3.8 section 9.3.2.2); an acceptor may support
    any number.
    """
    known = {
        UID(str(context.abstract_syntax))
        for context in (*AllStoragePresentationContexts, *StoragePresentationContexts)
    }
    wanted = sorted(known | {UID(uid) for uid in (*KEPT, *PRIVATE_STORAGE)})
    for uid in wanted:
        _make_storage(uid)
    return [
        build_context(VERIFICATION, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]),
        *(
            build_context(uid, list(KEPT_SYNTAXES if uid in KEPT else DROPPED_SYNTAXES))
            for uid in wanted
        ),
    ]


def _make_storage(uid: UID) -> None:
    """Teach pynetdicom that a retired, newer or private SOP class is one of storage."""
    if uid_to_service_class(uid) is not StorageServiceClass:
        register_uid(uid, f"Storage_{uid.replace('.', '_')}", StorageServiceClass)
