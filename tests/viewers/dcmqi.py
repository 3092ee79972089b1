"""dcmqi's programs, from PyPI: what 3D Slicer and MITK write SEGs with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813

from study.volume import Geometry, Volume
from viewers.drawing import Drawing, Order
from viewers.scene import Scene

ENCODINGS: Mapping[str, Sequence[str]] = {
    "BINARY": (),
    "BINARY, all frames": ("--skip", "0"),
    "BINARY, deflated as a whole": ("--compress", "deflate"),
    "LABELMAP": ("--segmentationType", "labelmap"),
}
"""Arguments of `itkimage2segimage`, by how the table calls the encoding."""


def run(program: str, *arguments: str | Path) -> None:
    """Run one of the programs, which are installed beside the interpreter."""
    command = [str(Path(sys.executable).parent / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def export(scene: Scene, orders: Sequence[Order], folder: Path) -> list[bytes]:
    """Drawings as `itkimage2segimage` encodes them."""
    return [_export(scene, order.drawing, order.encoding, folder) for order in orders]


def _export(scene: Scene, drawing: Drawing, encoding: str, folder: Path) -> bytes:
    """One of them."""
    images = []
    for number, layer in enumerate(drawing.layers):
        images.append(folder / f"layer-{number}.nrrd")
        sitk.WriteImage(to_itk(Volume(layer, drawing.geometry)), str(images[-1]))
    metadata = {
        "ContentCreatorName": "Doe^Jo",
        "SeriesDescription": "corrected",
        "SeriesNumber": "100",
        "InstanceNumber": "1",
        "segmentAttributes": [_attributes(drawing, layer) for layer in drawing.layers],
    }
    segimage = folder / "exported.dcm"
    encode(images, scene.series[drawing.grid], metadata, segimage, ENCODINGS[encoding])
    return segimage.read_bytes()


def encode(
    images: Sequence[Path],
    sources: Sequence[Path],
    metadata: Mapping[str, Any],
    segimage: Path,
    arguments: Sequence[str] = (),
) -> None:
    """Run `itkimage2segimage`."""
    described = segimage.with_suffix(".json")
    described.write_text(json.dumps(metadata), encoding="utf-8")
    run(
        "itkimage2segimage",
        "--inputImageList", ",".join(map(str, images)),
        "--inputDICOMList", ",".join(map(str, sources)),
        "--inputMetadata", described,
        "--outputDICOM", segimage,
        *arguments,
    )  # fmt: skip


def _attributes(drawing: Drawing, layer: np.ndarray) -> list[dict[str, Any]]:
    """Segments of a layer: those that it shows, and where it is the only one those it does not."""
    alone = len(drawing.layers) == 1
    return [
        {
            "labelID": number,
            "SegmentLabel": segment.label,
            "SegmentDescription": segment.label,
            "SegmentAlgorithmType": "MANUAL",
            "recommendedDisplayRGBValue": list(drawing.colour(number)),
            "SegmentedPropertyCategoryCodeSequence": _code("49755003", "SCT", "Morphology"),
            "SegmentedPropertyTypeCodeSequence": _code(*segment.code),
        }
        for number, segment in drawing.segments.items()
        if alone or (layer == number).any()
    ]


def _code(value: str, scheme: str, meaning: str) -> dict[str, str]:
    """A code as dcmqi spells it."""
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def to_itk(volume: Volume) -> sitk.Image:
    """A volume as an ITK image at the same place."""
    image = sitk.GetImageFromArray(volume.array.astype(np.int16))
    step, spacing = volume.geometry.affine[:3, 2::-1], volume.geometry.spacing[::-1]
    image.SetSpacing(spacing)
    image.SetDirection((step / np.array(spacing)).flatten().tolist())
    image.SetOrigin(volume.geometry.affine[:3, 3].tolist())
    return image


def from_itk(path: Path, frame_of_reference_uid: str = "any") -> Volume:
    """An ITK image as a volume at the same place."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    step = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = step[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Volume(array, Geometry(array.shape, affine, frame_of_reference_uid))
