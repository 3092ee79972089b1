from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from burned_in import pixels_of
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from dicomseg.answer_page import answer
from dicomseg.capture import sop_instance_uid_of_page, validate_capture, write_captures
from dicomseg.identity import tokens_in
from study.errors import FailedError, RefusedError


def png_of(array: np.ndarray, mode: str | None = None) -> bytes:
    buffer = BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, "PNG")
    return buffer.getvalue()


# Every pixel differs, 3 by 5: an odd number of bytes.
SMALL = np.arange(0, 225, 5, dtype=np.uint8).reshape(3, 5, 3)
PAGE = png_of(SMALL)


@pytest.fixture
def whole_page():
    """A page as it is delivered."""
    return answer("Not segmented: no FLAIR", ["None of 14 series is a FLAIR."], version="1")


@pytest.fixture
def preview(identity):
    """The identity of a result's pages."""
    return replace(identity, kind="preview", series_number=903)


@pytest.fixture
def source(series):
    """A header of the study."""
    return series.instances[0]


def parsed(encoded: bytes) -> Dataset:
    return dcmread(BytesIO(encoded))


def errors_of_dciodvfy(encoded: bytes, folder: Path) -> list[str]:
    """Lines that Debian's dicom3tools call errors."""
    path = folder / "page.dcm"
    path.write_bytes(encoded)
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False)
    return [line for line in (run.stdout + run.stderr).decode(errors="replace").splitlines()
            if line.startswith("Error")]  # fmt: skip


def put(ds: Dataset, tag: int, vr: str, raw: bytes) -> None:
    """An element as it stands in a file, undecoded."""
    ds._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(raw), raw, 0, False, True)


def test_pixels_are_those_of_the_page(source, preview, whole_page):
    """Also of an odd number of bytes, and of pages of different sizes in one series."""
    pages = [whole_page, PAGE]
    encoded = write_captures(pages, source, preview, "Overlay")
    for page, data in zip(pages, encoded, strict=True):
        ds = parsed(data)
        np.testing.assert_array_equal(ds.pixel_array, pixels_of(page))
        assert (ds.SamplesPerPixel, ds.PhotometricInterpretation) == (3, "RGB")
        assert ds.PlanarConfiguration == 0
        assert len(ds.PixelData) % 2 == 0


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_other_kinds_of_png_are_shown_in_rgb(mode, source, preview):
    """Grey, palette, with transparency, black and white."""
    page = png_of(np.full((4, 6, 3), 255, np.uint8), mode)
    [data] = write_captures([page], source, preview, "Overlay")
    assert (parsed(data).pixel_array == 255).all()
    assert parsed(data).pixel_array.shape == (4, 6, 3)


def test_dcmtk_renders_the_same_picture(source, preview, whole_page, tmp_path):
    """A second decoder, without windowing or colour of its own."""
    for page in (PAGE, whole_page):
        [data] = write_captures([page], source, preview, "Overlay")
        (tmp_path / "page.dcm").write_bytes(data)
        subprocess.run(
            ["dcmj2pnm", "+op", str(tmp_path / "page.dcm"), str(tmp_path / "page.ppm")],
            check=True, capture_output=True,
        )  # fmt: skip
        with Image.open(tmp_path / "page.ppm") as image:
            np.testing.assert_array_equal(np.array(image.convert("RGB")), pixels_of(page))


def test_header_of_a_page(source, preview):
    """What it is, of whom, from whom and when."""
    ds = parsed(write_captures([PAGE], source, preview, "Overlay")[0])
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (ds.BurnedInAnnotation, ds.ConversionType) == ("YES", "WSD")
    assert ds.ImageType == ["DERIVED", "SECONDARY", "OTHER"]
    assert ds.SeriesDescription == "Glioloop 00112233 Overlay - Not for diagnosis"
    assert tokens_in(ds.SeriesDescription) == {"00112233"}
    assert (ds.SeriesNumber, ds.InstanceNumber) == (903, 1)
    assert ds.StudyInstanceUID == source.StudyInstanceUID
    assert (ds.PatientName, ds.PatientID) == ("Tester^Müller", "PAT-0001")
    assert (ds.AccessionNumber, ds.SpecificCharacterSet) == ("ACC42", "ISO_IR 100")
    assert (ds.StudyDate, ds.StudyTime) == ("20260102", "101500")
    for what in ("InstanceCreation", "Content", "Series"):
        assert (ds[f"{what}Date"].value, ds[f"{what}Time"].value) == ("20260103", "093005")
    assert (ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture) == ("20260103", "093005")
    assert (ds.Manufacturer, ds.ManufacturerModelName) == ("Glioloop", "glioloop-base")
    assert ds.SoftwareVersions == "0.1.0 head base"
    assert ds.DerivationDescription == (
        "Not for diagnosis. Drawn by Glioloop, glioloop-base 0.1.0 head base"
    )


def test_nothing_takes_a_page_for_an_image_of_the_patient(source, preview):
    """Neither a rule for MR series nor a viewer that places or labels images."""
    ds = parsed(write_captures([PAGE], source, preview, "Overlay")[0])
    assert ds.Modality == "OT"
    assert ds.PatientOrientation in (None, "")
    for keyword in (
        "FrameOfReferenceUID",
        "PositionReferenceIndicator",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
    ):
        assert keyword not in ds


def test_pages_of_a_result_are_one_series(source, preview, identity):
    """In their order, with UIDs that derive from the result; another series than its SEG."""
    found = [parsed(d) for d in write_captures([PAGE] * 3, source, preview, "Overlay")]
    assert {ds.SeriesInstanceUID for ds in found} == {preview.series_uid}
    assert preview.series_uid not in {identity.series_uid, source.SeriesInstanceUID}
    assert [int(ds.InstanceNumber) for ds in found] == [1, 2, 3]
    uids = [ds.SOPInstanceUID for ds in found]
    assert uids == [sop_instance_uid_of_page(preview, n) for n in (1, 2, 3)]
    assert uids[0] == preview.sop_instance_uid
    assert len(set(uids)) == 3
    assert [ds.file_meta.MediaStorageSOPInstanceUID for ds in found] == uids


def test_the_same_arguments_give_the_same_bytes(source, preview):
    """Nothing comes from the clock or from chance."""
    assert write_captures([PAGE], source, preview, "A") == write_captures(
        [PAGE], source, preview, "A"
    )


def test_a_long_title_is_cut_and_the_disclaimer_stays(source, preview):
    """(0008,103E) *Series Description* has at most 64 characters."""
    ds = parsed(write_captures([PAGE], source, preview, "x" * 100)[0])
    assert ds.SeriesDescription == f"Glioloop 00112233 {'x' * 26} - Not for diagnosis"
    assert len(ds.SeriesDescription) == 64


def test_times_are_told_in_the_zone_of_the_source(source, preview):
    """09:30 UTC is 18:30 in Japan."""
    source.TimezoneOffsetFromUTC = "+0900"
    made = replace(preview, created=datetime(2026, 1, 3, 9, 30, tzinfo=UTC))
    ds = parsed(write_captures([PAGE], source, made, "Overlay")[0])
    assert (ds.ContentTime, ds.TimezoneOffsetFromUTC) == ("183000", "+0900")


def test_dciodvfy_finds_no_error(source, preview, whole_page, tmp_path):
    """One page and a second one, of an adapted model, with a time zone."""
    source.TimezoneOffsetFromUTC = "-0500"
    adapted = replace(preview, head_version="patient-v2")
    for data in write_captures([whole_page, PAGE], source, adapted, "Overlay"):
        assert errors_of_dciodvfy(data, tmp_path) == []


def test_dciodvfy_can_find_errors(source, preview, tmp_path):
    """The check above can fail."""
    ds = parsed(write_captures([PAGE], source, preview, "Overlay")[0])
    del ds.ConversionType
    buffer = BytesIO()
    ds.save_as(buffer)
    assert errors_of_dciodvfy(buffer.getvalue(), tmp_path) != []


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (b"ISO_IR 100", "Müller^Jürgen".encode("latin-1")),
        (b"ISO_IR 192", "山田^太郎".encode()),
        (b"\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎".encode("iso2022_jp")),
    ],
)
def test_character_sets(charset, name, source, preview, tmp_path):
    """German and Japanese names: the same bytes, and no error."""
    put(source, 0x00080005, "CS", charset)
    put(source, 0x00100010, "PN", name)
    put(source, 0x00081030, "LO", b"MRI")
    [data] = write_captures([PAGE], source, preview, "Overlay")
    assert name in data
    assert errors_of_dciodvfy(data, tmp_path) == []


def test_dirty_headers_are_repaired_on_a_copy(source, preview, tmp_path):
    """Bad sex, dates and ages, missing Type 2 attributes; the source stays as it was."""
    put(source, 0x00100040, "CS", b"0000")
    put(source, 0x00100030, "DA", b"00000000")
    put(source, 0x00080030, "TM", b"25:00 ")
    put(source, 0x00101010, "AS", b"0 ")
    put(source, 0x00080201, "SH", b"+0A00 ")
    for keyword in ("StudyID", "ReferringPhysicianName", "StudyDate"):
        del source[keyword]
    [data] = write_captures([PAGE], source, preview, "Overlay")
    assert errors_of_dciodvfy(data, tmp_path) == []
    ds = parsed(data)
    for keyword in ("PatientSex", "PatientBirthDate", "StudyTime", "StudyID", "StudyDate"):
        assert not ds[keyword].value
    assert "PatientAge" not in ds
    assert "TimezoneOffsetFromUTC" not in ds
    assert (source.PatientSex, source.PatientBirthDate) == ("0000", "00000000")
    assert "StudyID" not in source


def test_any_object_of_a_study_can_be_the_source(preview, series, enhanced, tmp_path):
    """An enhanced image, or one that says no more than its study."""
    bare = Dataset()
    bare.StudyInstanceUID = "1.2.3.4"
    for header in (enhanced(series), bare):
        [data] = write_captures([PAGE], header, preview, "Not segmented")
        assert errors_of_dciodvfy(data, tmp_path) == []
        assert parsed(data).StudyInstanceUID == header.StudyInstanceUID
        assert "NumberOfFrames" not in parsed(data)


def test_what_is_no_page_is_refused(source, preview):
    """None, no PNG, half a PNG, another format."""
    with pytest.raises(RefusedError, match="there is none"):
        write_captures([], source, preview, "Overlay")
    jpeg = BytesIO()
    Image.fromarray(SMALL).save(jpeg, "JPEG")
    for data in (b"", b"no picture", PAGE[: len(PAGE) // 2], jpeg.getvalue()):
        with pytest.raises(RefusedError, match="page 2 is no readable PNG"):
            write_captures([PAGE, data], source, preview, "Overlay")


@pytest.mark.parametrize("title", ["", "Übersicht", "a\\b", "a\nb"])
def test_a_title_that_is_no_plain_text_is_refused(title, source, preview):
    """The character set is that of the source, which need not have the letters."""
    with pytest.raises(RefusedError, match="a title is ASCII"):
        write_captures([PAGE], source, preview, title)


def test_a_source_without_study_is_refused(source, preview):
    """A page of no study would be a study of its own."""
    source.StudyInstanceUID = ""
    with pytest.raises(RefusedError, match="StudyInstanceUID"):
        write_captures([PAGE], source, preview, "Overlay")


def test_another_picture_is_found_before_it_is_sent(source, preview):
    """One pixel, another colour space, half a file."""
    [data] = write_captures([PAGE], source, preview, "Overlay")
    pixels = pixels_of(PAGE)
    validate_capture(data, pixels)
    other = pixels.copy()
    other[2, 4, 1] += 1
    with pytest.raises(FailedError, match="another picture"):
        validate_capture(data, other)
    ds = parsed(data)
    ds.PhotometricInterpretation = "YBR_FULL"
    buffer = BytesIO()
    ds.save_as(buffer)
    with pytest.raises(FailedError, match="another picture"):
        validate_capture(buffer.getvalue(), pixels)
    with pytest.raises(FailedError, match="cannot be read back"):
        validate_capture(data[: len(data) // 2], pixels)
    with pytest.raises(FailedError, match="cannot be read back"):
        validate_capture(b"no DICOM", pixels)
