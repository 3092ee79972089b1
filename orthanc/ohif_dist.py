"""Prepares OHIF, as its authors publish it, to be served by Orthanc at ``/ohif/``.

The npm package ``@ohif/app`` holds a built site that believes to lie at the root of its server.
Here its addresses are moved, its configuration is replaced by `ohif-config.js`, and one fault is
mended. Standard library alone: ``python3 ohif_dist.py PACKAGE.tgz FOLDER``. `viewer.py` serves the
folder.
"""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

ROOT = "/ohif/"
"""Where Orthanc serves it; `viewer.py` and `ohif-config.js` say the same."""

CONFIGURATION = Path(__file__).with_name("ohif-config.js")
BUILT = "package/dist/"
"""The built site inside the package."""

ASSIGNED = "Object.assign(segmentationResult{}, predecessor);"
"""Where OHIF adds to a Segmentation that it stores which one it was made from."""

CHANGES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("index.html", lambda text: text.replace('="/', f'="{ROOT}')),
    ("*.css", lambda text: text.replace("url(/", f"url({ROOT}")),
    ("manifest.json", lambda text: text.replace('"/', f'"{ROOT}')),
    ("*.js", lambda text: re.sub(r'(\.p ?= ?)"/"', rf'\1"{ROOT}"', text)),
    # OHIF 3.13.2 adds it beside the data set, so that it is lost: what is stored names neither the
    # SEG that was corrected, (0040,A360) *Predecessor Documents Sequence*, nor its series.
    ("*.js", lambda text: text.replace(ASSIGNED.format(""), ASSIGNED.format(".dataset"))),
)
"""Files, and what is changed in them. Fonts, workers and WASM hang on ``url`` and ``.p``."""


class NotPreparedError(Exception):
    """The package is not what is known of OHIF."""


def prepare(package: Path, folder: Path) -> None:
    """Write OHIF into a folder, ready to be served.

    Parameters
    ----------
    package
        What ``npm pack @ohif/app`` fetched.
    folder
        Where to; what is there is replaced when all is well.

    Raises
    ------
    NotPreparedError
        If the package holds no built site, or one that is written in another way, or if something
        else than OHIF lies in the folder.
    """
    if folder.exists() and not _may_be_replaced(folder):
        raise NotPreparedError(
            f"{folder} holds something else than OHIF, and is left as it is: name a new folder"
        )
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    unpack(package, partial)
    for pattern, changed in CHANGES:
        change(partial, pattern, changed)
    shutil.copyfile(CONFIGURATION, partial / "app-config.js")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _may_be_replaced(folder: Path) -> bool:
    """Whether a folder is empty, or holds a site that was prepared before."""
    return folder.is_dir() and ((folder / "app-config.js").is_file() or not any(folder.iterdir()))


def unpack(package: Path, folder: Path) -> None:
    """The built site alone; nothing is written outside the folder."""
    with tarfile.open(package) as archive:
        for member in archive:
            if not (member.isfile() and member.name.startswith(BUILT)):
                continue
            path = (folder / member.name.removeprefix(BUILT)).resolve()
            content = archive.extractfile(member)
            if content is None or not path.is_relative_to(folder.resolve()):
                raise NotPreparedError(f"{package.name} would write to {member.name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
    if not (folder / "index.html").is_file():
        raise NotPreparedError(f"{package.name} holds no {BUILT}index.html: it is not @ohif/app")


def change(folder: Path, pattern: str, changed: Callable[[str], str]) -> None:
    """Change the files of one kind; at least one of them must need it."""
    count = 0
    for path in folder.glob(pattern):
        text = path.read_text(encoding="utf-8")
        if (new := changed(text)) != text:
            path.write_text(new, encoding="utf-8")
            count += 1
    if not count:
        raise NotPreparedError(
            f"no {pattern} of this OHIF holds what must be changed for {ROOT}: "
            "scripts/ohif names the version that is known to work"
        )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python3 ohif_dist.py PACKAGE.tgz FOLDER")
    try:
        prepare(Path(sys.argv[1]), Path(sys.argv[2]))
    except (NotPreparedError, OSError, tarfile.TarError) as error:
        sys.exit(str(error))
