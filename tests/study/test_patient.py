"""Tests of `study.patient`."""

import pytest

from study.patient import patient_key

SECRET = b"a site's secret"


def test_spaces_around_an_id_and_the_form_of_unicode_do_not_matter():
    # e with acute accent: one code point, or an e and a combining accent.
    composed, decomposed = "Ren\u00e9-7", "Rene\u0301-7"
    assert patient_key(SECRET, "", f" {composed} ") == patient_key(SECRET, "", decomposed)


@pytest.mark.parametrize("other", ["07", "7 7", "P7", "p7"])
def test_zeros_and_case_tell_patients_apart(other):
    keys = {patient_key(SECRET, "", i) for i in ("7", "P7", "p7", "07", "7 7")}
    assert len(keys) == 5
    assert patient_key(SECRET, "", other) in keys


def test_issuer_and_secret_tell_patients_apart():
    key = patient_key(SECRET, "HOSPITAL A", "7")
    assert key != patient_key(SECRET, "HOSPITAL B", "7")
    assert key != patient_key(b"another", "HOSPITAL A", "7")


def test_issuer_and_id_cannot_run_into_one_another():
    assert patient_key(SECRET, "A", "B7") != patient_key(SECRET, "AB", "7")


@pytest.mark.parametrize(
    "nobody", ["", "  ", "ANON", "anonymous", "Unknown", "0", "000", "XXX", "-"]
)
def test_placeholders_are_nobody(nobody):
    assert patient_key(SECRET, "", nobody) is None


def test_a_key_does_not_hold_the_id():
    key = patient_key(SECRET, "", "PAT-4711")
    assert key is not None
    assert len(key) == 64
    assert "4711" not in key
