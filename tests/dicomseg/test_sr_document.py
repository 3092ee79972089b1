from __future__ import annotations

import subprocess
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomseg.identity import ResultIdentity
from dicomseg.report import Report, measure_seg, write_report, write_text_report
from dicomseg.sr_document import encodable
from dicomseg.write import write_seg
from study.tissue import Role


def make_dirty(ds: Dataset, keyword: str, value: str, encoding: str = "utf-8") -> None:
    """Put a value in a header as it would come from a file, unchecked."""
    tag = Tag(tag_for_keyword(keyword))
    raw = value.encode(encoding)
    raw += b" " * (len(raw) % 2)
    ds._dict[tag] = RawDataElement(tag, dictionary_VR(tag), len(raw), raw, 0, False, True)


def errors_of_dciodvfy(encoded: bytes, path) -> list[str]:
    path.write_bytes(encoded)
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False,
                         errors="replace")  # fmt: skip
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]


def texts_of(item: Dataset) -> list[str]:
    """All texts of a content tree."""
    found = [str(item.TextValue)] if item.get("ValueType") == "TEXT" else []
    return found + [t for child in item.get("ContentSequence") or [] for t in texts_of(child)]


def both_reports(series, identity: ResultIdentity, **told) -> list[bytes]:
    """A report of measurements and one of text, from the series as it is."""
    seg = dcmread(BytesIO(write_seg(series.labels, series.instances, identity)))
    sources = {Role.T1GD: series.instances}
    named = replace(identity, kind="report")
    return [
        write_report(seg, sources, named, Report(measure_seg(seg, sources), **told)),
        write_text_report(series.instances[0], named, told.get("warnings") or ["Why."]),
    ]


@pytest.mark.parametrize(
    ("keyword", "value", "kept"),
    [
        ("PatientSex", "0000", ""),
        ("PatientBirthDate", "00000000", ""),
        ("StudyDate", "2026.1.2", ""),
        ("StudyTime", "25:00", ""),
        ("PatientAge", "0", None),
        ("TimezoneOffsetFromUTC", "CET", None),
    ],
)
def test_bad_values_are_repaired_on_a_copy(keyword, value, kept, series, identity, tmp_path):
    """Both reports are valid, and the source stays as it was."""
    for instance in series.instances:
        make_dirty(instance, keyword, value)
    for encoded in both_reports(series, identity):
        assert errors_of_dciodvfy(encoded, tmp_path / "sr.dcm") == []
        found = dcmread(BytesIO(encoded))
        assert (keyword in found) is (kept is not None)
        assert str(found.get(keyword) or "") == (kept or "")
    assert str(series.instances[0][keyword].value).strip() == value


TYPE_2 = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
          "StudyID", "AccessionNumber", "ReferringPhysicianName"]  # fmt: skip


def test_missing_type_2_attributes_are_there_and_empty(series, identity, tmp_path):
    """All of them at once."""
    for instance in series.instances:
        for keyword in TYPE_2:
            del instance[keyword]
    for encoded in both_reports(series, identity):
        found = dcmread(BytesIO(encoded))
        assert all(keyword in found and not found[keyword].value for keyword in TYPE_2)
        assert errors_of_dciodvfy(encoded, tmp_path / "sr.dcm") == []


@pytest.mark.parametrize(
    ("declared", "encoding", "name", "sentence", "written"),
    [
        ("ISO_IR 100", "latin-1", "Müller^Jörg", "Übersicht ≥ 3 mm", "Übersicht >= 3 mm"),
        ("ISO_IR 192", "utf-8", "山田^太郎", "概要 – ≥", "概要 – ≥"),
        ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾞ^ﾀﾛｳ", "Größe", "Grosse"),
        ("", "ascii", "Yamada^Tarou", "Größe 日", "Grosse ?"),
    ],
)
def test_character_sets_are_carried_over(
    declared, encoding, name, sentence, written, series, identity, tmp_path
):
    """The name byte for byte; what the character set lacks is written in ASCII."""
    for instance in series.instances:
        instance.SpecificCharacterSet = declared
        make_dirty(instance, "PatientName", name, encoding)
    for encoded in both_reports(series, identity, warnings=(sentence,)):
        assert name.encode(encoding) in encoded
        found = dcmread(BytesIO(encoded))
        assert found.get("SpecificCharacterSet", "") == declared
        assert written in texts_of(found)
        # dciodvfy takes the half-width katakana of JIS X 0201 for bad characters, in any object.
        if declared != "ISO_IR 13":
            assert errors_of_dciodvfy(encoded, tmp_path / "sr.dcm") == []


def test_a_name_in_three_writings(series, identity, tmp_path):
    """ISO 2022: the escapes arrive as they were, and DCMTK reads the document."""
    raw = "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
    for instance in series.instances:
        instance.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        make_dirty(instance, "PatientName", raw, "ascii")
    for encoded in both_reports(series, identity, warnings=("山 – 5 mm",)):
        assert raw.encode("ascii") in encoded
        found = dcmread(BytesIO(encoded))
        assert str(found.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
        assert "山 - 5 mm" in texts_of(found)
        assert errors_of_dciodvfy(encoded, tmp_path / "sr.dcm") == []
        run = subprocess.run(["dsrdump", tmp_path / "sr.dcm"], capture_output=True, check=True)
        # It warns that it does not check values in this character set, and no more.
        assert all(
            line.startswith(b"W: ") and b"ISO 2022 IR 87" in line
            for line in run.stderr.splitlines()
        )


def test_a_corrector_s_name_fits_the_character_set(series, identity):
    """One word is a family name; a letter that the study's character set lacks loses its accent."""
    for instance in series.instances:
        instance.SpecificCharacterSet = "ISO_IR 100"
    encoded = both_reports(series, identity, corrected_by="Dvořák\\x=y")[0]
    names = [i.PersonName for i in dcmread(BytesIO(encoded)).ContentSequence
             if i.ValueType == "PNAME"]  # fmt: skip
    assert names == ["Dvorák x y^"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\r\nlines\x00", "two  lines"),
        ("a" * 2000, "a" * 1024),
        ("2’ – 5 ≤ 6 — ½", "2' - 5 <= 6 - 1?2"),
    ],
)
def test_text_without_a_character_set_is_ascii(text, expected):
    """Nothing is lost that has a near letter."""
    assert encodable(text, Dataset()) == expected


def test_an_unknown_character_set_knows_ascii_alone():
    """Nobody could read more."""
    source = Dataset()
    make_dirty(source, "SpecificCharacterSet", "ISO_IR 999")
    assert encodable("Müller", source) == "Muller"
