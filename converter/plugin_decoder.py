"""The program of the child process in which pydicom and its plug-ins decode (`converter.decode`).

It is run by its path, in a folder of DICOM files, and turns each into an array beside it. It
imports nothing of Glioloop, so that it needs no more than the interpreter's own packages.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array


def main() -> None:
    """Decode the files of the working folder in their order; the first that fails ends it."""
    warnings.simplefilter("ignore")
    for path in sorted(Path().glob("*.dcm")):
        np.save(path.with_suffix(".npy"), pixel_array(dcmread(path)))


if __name__ == "__main__":
    main()
