"""OHIF's addresses are moved below /ohif/, and its configuration is ours."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from orthanc import ohif_dist
from orthanc.ohif_dist import NotPreparedError, prepare

SITE = {
    "package/dist/index.html": '<script>window.PUBLIC_URL="/"</script><script src="/app.js">',
    "package/dist/app.css": "@font-face{src:url(/a1.woff2)}",
    "package/dist/app.js": '__webpack_require__.p = "/"; fetch("/else")',
    "package/dist/seg.js": "Object.assign(segmentationResult, predecessor);",
    "package/dist/worker.js": 'n.p="/";',
    "package/dist/manifest.json": '{"src": "/assets/icon.png"}',
    "package/dist/assets/icon.png": "icon",
    "package/dist/app-config.js": "window.config = { theirs: 1 }",
    "package/README.md": "not of the site",
}


def packed(folder: Path, files: Mapping[str, str]) -> Path:
    """A package of some files."""
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_addresses_are_moved_and_the_configuration_is_replaced(tmp_path: Path) -> None:
    made = tmp_path / "ohif"
    prepare(packed(tmp_path, SITE), made)
    html = '<script>window.PUBLIC_URL="/ohif/"</script><script src="/ohif/app.js">'
    assert (made / "index.html").read_text() == html
    assert (made / "app.css").read_text() == "@font-face{src:url(/ohif/a1.woff2)}"
    assert (made / "app.js").read_text() == '__webpack_require__.p = "/ohif/"; fetch("/else")'
    mended = "Object.assign(segmentationResult.dataset, predecessor);"
    assert (made / "seg.js").read_text() == mended
    assert (made / "worker.js").read_text() == 'n.p="/ohif/";'
    assert (made / "manifest.json").read_text() == '{"src": "/ohif/assets/icon.png"}'
    assert (made / "assets" / "icon.png").read_text() == "icon"
    configuration = (made / "app-config.js").read_text()
    assert "routerBasename: '/ohif'" in configuration
    assert "defaultMode: 'bitmap', transferSyntaxUID: '1.2.840.10008.1.2.1'" in configuration
    assert not (made / "README.md").exists()


def test_what_was_prepared_before_is_replaced(tmp_path: Path) -> None:
    made = tmp_path / "ohif"
    made.mkdir()
    (made / "of-yesterday.js").write_text("")
    (made / "app-config.js").write_text("")
    prepare(packed(tmp_path, SITE), made)
    assert not (made / "of-yesterday.js").exists()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "ohif").mkdir()
    prepare(packed(tmp_path, SITE), tmp_path / "ohif")
    assert (tmp_path / "ohif" / "index.html").is_file()


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "thesis.txt").write_text("years of work")
    with pytest.raises(NotPreparedError, match=r"documents holds something else than OHIF"):
        prepare(packed(tmp_path, SITE), made)
    assert (made / "thesis.txt").read_text() == "years of work"
    with pytest.raises(NotPreparedError, match="holds something else"):
        prepare(packed(tmp_path, SITE), made / "thesis.txt")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"package/dist/index.html": None}, "holds no package/dist/index.html"),
        ({"package/dist/app.css": "body{}"}, r"no \*\.css of this OHIF"),
        ({"package/dist/index.html": "<script src='app.js'>"}, "no index.html of this OHIF"),
        ({"package/dist/seg.js": "it was mended"}, r"no \*\.js of this OHIF"),
        ({"package/dist/../../else.js": "x"}, "would write to"),
        ({"package/dist//etc/else.js": "x"}, "would write to"),
    ],
)
def test_another_layout_is_refused_and_what_was_there_stays(
    tmp_path: Path, changed: Mapping[str, str | None], message: str
) -> None:
    made = tmp_path / "ohif"
    made.mkdir()
    (made / "index.html").write_text("of yesterday")
    (made / "app-config.js").write_text("")
    files = {name: text for name, text in {**SITE, **changed}.items() if text is not None}
    with pytest.raises(NotPreparedError, match=message):
        prepare(packed(tmp_path, files), made)
    assert (made / "index.html").read_text() == "of yesterday"
    assert not (tmp_path / "else.js").exists()


def test_the_configuration_lies_where_the_root_is() -> None:
    assert ohif_dist.ROOT == "/ohif/"
    assert "routerBasename: '/ohif'," in ohif_dist.CONFIGURATION.read_text()
