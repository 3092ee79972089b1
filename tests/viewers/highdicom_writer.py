"""SEGs as users of highdicom write them: in every type and compression that it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from scipy import ndimage

from viewers.drawing import Drawing, Order
from viewers.scene import Scene

ENCODINGS: Mapping[str, tuple[str, str]] = {
    "BINARY": ("BINARY", "1.2.840.10008.1.2.1"),
    "BINARY, implicit little endian": ("BINARY", "1.2.840.10008.1.2"),
    "BINARY, JPEG 2000": ("BINARY", "1.2.840.10008.1.2.4.90"),
    "LABELMAP": ("LABELMAP", "1.2.840.10008.1.2.1"),
    "LABELMAP, RLE": ("LABELMAP", "1.2.840.10008.1.2.5"),
    "LABELMAP, JPEG-LS": ("LABELMAP", "1.2.840.10008.1.2.4.80"),
    "LABELMAP, JPEG 2000": ("LABELMAP", "1.2.840.10008.1.2.4.90"),
    "FRACTIONAL": ("FRACTIONAL", "1.2.840.10008.1.2.1"),
    "FRACTIONAL, RLE": ("FRACTIONAL", "1.2.840.10008.1.2.5"),
    "FRACTIONAL, JPEG-LS": ("FRACTIONAL", "1.2.840.10008.1.2.4.80"),
}
"""Segmentation type and transfer syntax, by how the table calls them."""


def export(scene: Scene, orders: Sequence[Order], _folder: Path) -> list[bytes]:
    """Drawings on the result's grid as highdicom encodes them."""
    return [_export(scene, order.drawing, order.encoding) for order in orders]


def _export(scene: Scene, drawing: Drawing, encoding: str) -> bytes:
    """One of them."""
    kind, transfer_syntax = ENCODINGS[encoding]
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment.label,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=Code(*segment.code),
            algorithm_type="MANUAL",
        )
        for number, segment in drawing.segments.items()
    ]
    seg = hd.seg.Segmentation(
        source_images=scene.headers(drawing.grid),
        pixel_array=_pixels(drawing, kind),
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=hd.UID(),
        series_number=100,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Elsewhere",
        manufacturer_model_name="Tool",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=transfer_syntax,
    )
    buffer = BytesIO()
    seg.save_as(buffer)
    return buffer.getvalue()


def _pixels(drawing: Drawing, kind: str) -> np.ndarray:
    """Labels, or a mask for each segment where these are fractions or overlap."""
    if kind != "FRACTIONAL" and len(drawing.layers) == 1:
        return drawing.layers[0]
    masks = [
        np.any([layer == number for layer in drawing.layers], axis=0) for number in drawing.segments
    ]
    if kind != "FRACTIONAL":
        return np.stack(masks, axis=-1).astype(np.uint8)
    # Six tenths within; what is less than a half, around it, is none of the outline.
    rims = [ndimage.binary_dilation(mask, np.ones((1, 3, 3))) for mask in masks]
    fractions = [np.where(m, 0.6, np.where(r, 0.4, 0.0)) for m, r in zip(masks, rims, strict=True)]
    return np.stack(fractions, axis=-1).astype(np.float32)
