"""Which patient a model belongs to, without saying who that is."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import NewType

PatientKey = NewType("PatientKey", str)
"""64 hex digits that stand for one patient; meaningless without the site's secret."""

PLACEHOLDERS = frozenset(
    {
        "ANON",
        "ANONYMOUS",
        "ANONYMIZED",
        "ANONYMISED",
        "UNKNOWN",
        "NONE",
        "NA",
        "N/A",
        "TEST",
        "NULL",
    }
)
"""Patient IDs, in upper case, that stand for nobody; so do those of only zeros, X, - ? and *."""


def patient_key(secret: bytes, issuer: str, patient_id: str) -> PatientKey | None:
    """Key of a patient's model: HMAC-SHA-256 over (Issuer of Patient ID, Patient ID).

    Spaces around both are trimmed and Unicode is brought to NFC; case and leading zeros are kept,
    since archives tell patients apart by them.

    Parameters
    ----------
    secret
        The site's secret.
    issuer
        (0010,0021) *Issuer of Patient ID*, or the default of the calling AE.
    patient_id
        (0010,0020) *Patient ID*.

    Returns
    -------
    PatientKey or None
        None for an empty or placeholder Patient ID, which never has a model.
    """
    name = _canonical(patient_id)
    if not name or name.upper() in PLACEHOLDERS or not name.strip("0xX-?*_ ."):
        return None
    message = _canonical(issuer).encode() + b"\x00" + name.encode()
    return PatientKey(hmac.new(secret, message, hashlib.sha256).hexdigest())


def _canonical(text: str) -> str:
    """Trimmed, NFC."""
    return unicodedata.normalize("NFC", text.strip(" \t\r\n\x00"))
