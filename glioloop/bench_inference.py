"""Inference of a whole head: MONAI with torch, ONNX Runtime, and ours.

Each runs in a process of its own, so that its memory is its own: the same weights, volume, patches,
overlap and blending.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from engine.inference import Patching, segment
from engine.network import NetworkConfig
from engine.network_cost import gflop
from engine.patches import pad_to, starts
from engine.processor import threads_given
from engine.runtime import compile_backbone
from engine.weights import Model, load, shipped
from engine.yardsticks import monai_torch, onnxruntime, untrained
from glioloop.bench import Figures, Measurement, Options
from glioloop.modes import FITTED_VOXELS
from study.agreement import dice
from study.errors import FailedError

GRID = (240, 240, 155)
"""Columns, rows and slices of a whole head at 1 mm."""
BRAIN_MM = (140.0, 170.0, 130.0)
"""Axes of the ellipsoid that stands for the brain: columns, rows, slices; 1.6 litres."""
MATRIX = 4096
"""Rows and columns of the matrices whose product shows what the processor can do at most."""
CONTENDERS = ("monai_torch_fp32", "onnxruntime", "ours", "ours_fast")
"""The last in patches fitted to the brain, as mode `fast` computes."""

Array = npt.NDArray[np.float32]


def measurements(options: Options) -> Iterator[Measurement]:
    """The reference network at 1 mm, then the shipped one on its own grid."""
    grid = options.grid or GRID
    yield Measurement(
        "inference",
        f"the reference network, 24 to 192 filters, untrained, on {'x'.join(map(str, grid))}",
        lambda: measure(None, grid, options.repeats),
    )
    spacing = load(shipped("base")).manifest.spacing_mm
    coarse = tuple(max(1, round(n / spacing)) for n in grid)
    yield Measurement(
        "inference_shipped",
        f"the shipped network on {'x'.join(map(str, coarse))}, its {spacing:g} mm grid",
        lambda: measure(shipped("base"), (coarse[0], coarse[1], coarse[2]), options.repeats),
    )


def measure(folder: Path | None, grid: tuple[int, int, int], repeats: int) -> Figures:
    """Run each contender in turn, and compare what they answer.

    Parameters
    ----------
    folder
        Of the model; None for the reference network, with random weights.
    grid
        Columns, rows, slices.
    repeats
        How often each runs; the quickest counts.
    """
    images, brain = head(grid)
    with tempfile.TemporaryDirectory(prefix="glioloop-") as temporary:
        place = Path(temporary)
        np.savez(place / "head.npz", images=images, brain=brain)
        runs: dict[str, dict[str, float]] = {name: {} for name in CONTENDERS}
        for _ in range(repeats):
            for name in CONTENDERS:
                found = _in_child(name, folder, place)
                runs[name] = _better(runs[name], found)
        labels = {name: np.load(place / f"{name}.npy") for name in CONTENDERS}
    peak = matrix_gflop_s()
    return _figures(runs, labels, peak, brain)


def _better(known: Mapping[str, float], found: Mapping[str, float]) -> dict[str, float]:
    """Less time of two runs; what does not change stays."""
    return {name: min(known.get(name, value), value) for name, value in found.items()}


def _figures(
    runs: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, npt.NDArray[np.uint8]],
    peak: float,
    brain: npt.NDArray[np.bool_],
) -> Figures:
    """Names and figures, theirs first."""
    figures: dict[str, float | int | str] = {"threads": threads_given()}
    for name, found in runs.items():
        figures[f"{name}_s"] = round(found["s"], 2)
        figures[f"{name}_cpu_s"] = round(found["cpu_s"], 2)
        figures[f"{name}_peak_mib"] = round(found["peak_mib"])
        figures[f"{name}_gflop"] = round(found["gflop"], 1)
        figures[f"{name}_share_of_peak"] = round(found["gflop"] / found["s"] / peak, 3)
    figures["matrix_peak_gflop_s"] = round(peak, 1)
    theirs = runs["monai_torch_fp32"]["s"]
    for name in CONTENDERS[1:]:
        figures[f"{name}_times_faster"] = round(theirs / runs[name]["s"], 2)
    figures["ratio"] = round(runs["ours"]["s"] / theirs, 4)
    expected = labels["monai_torch_fp32"][brain]
    for name in CONTENDERS[1:]:
        worst = min(
            dice(labels[name][brain] == label, expected == label) for label in np.unique(expected)
        )
        figures[f"{name}_dice_worst_class"] = round(worst, 4)
    return figures


def head(grid: tuple[int, int, int]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Smooth images of an ellipsoid in the middle of a grid, and where it is."""
    shape = grid[::-1]
    room = np.array(shape) / np.array(GRID[::-1]) * np.array(BRAIN_MM[::-1]) / 2
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij", sparse=True)
    distance = sum((axis / r) ** 2 for axis, r in zip(axes, room, strict=True))
    brain: npt.NDArray[np.bool_] = np.asarray(distance) <= 1.0
    random = np.random.default_rng(0)
    noise = random.normal(size=(3, *shape)).astype(np.float32)
    images = np.stack([ndimage.gaussian_filter(channel, 3.0) for channel in noise])
    images /= images.std()
    images[:, ~brain] = -2.5
    return images, brain


def matrix_gflop_s() -> float:
    """What the processor reaches in a product of large matrices, 10^9 operations a second."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(MATRIX, MATRIX)).astype(np.float32)
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - began)
    return 2.0 * MATRIX**3 / best / 1e9


def _in_child(name: str, folder: Path | None, place: Path) -> dict[str, float]:
    """One run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(name, folder, place, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        answer: dict[str, Any] = ours.recv()
    except EOFError:
        child.join()
        raise FailedError(f"{name} ended with exit code {child.exitcode} and no answer") from None
    child.join()
    if "problem" in answer:
        raise FailedError(str(answer["problem"]))
    return answer


def _child(name: str, folder: Path | None, place: Path, pipe: Connection) -> None:
    """Body of the child."""
    try:
        pipe.send(contend(name, folder, place))
    except FailedError as error:
        pipe.send({"problem": str(error)})


def contend(name: str, folder: Path | None, place: Path) -> dict[str, float]:
    """Load, run once for nothing on a small volume, run, and say what it took."""
    with np.load(place / "head.npz", allow_pickle=False) as file:
        images, brain = file["images"], file["brain"]
    middle = tuple(slice(max(0, n // 2 - 32), n // 2 + 32) for n in brain.shape)
    small = images[:, *middle]
    model = untrained(NetworkConfig(), small) if folder is None else load(folder)
    config = model.manifest.network
    fitted = FITTED_VOXELS if name == "ours_fast" else None
    patching = Patching(outside=-2.5, most_voxels=fitted, multiple=config.stride)
    run = _runner(name, model, patching)
    run(small, np.ones(small.shape[1:], bool))
    before, began = _cpu_s(), time.perf_counter()
    logits = run(images, brain)
    seconds, cpu = time.perf_counter() - began, _cpu_s() - before
    np.save(place / f"{name}.npy", logits.argmax(axis=0).astype(np.uint8))
    everywhere = np.ones(brain.shape, bool) if name == "monai_torch_fp32" else brain
    return {
        "s": seconds,
        "cpu_s": cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "gflop": gflop(config, _voxels(everywhere, patching)),
    }


def _runner(
    name: str, model: Model, patching: Patching
) -> Callable[[Array, npt.NDArray[np.bool_]], Array]:
    """Images and brain to logits, as a contender does it."""
    threads = threads_given()
    if name == "monai_torch_fp32":
        window = monai_torch(model, patching, threads)
        return lambda images, _brain: window(images)
    if name == "onnxruntime":
        backbone: Callable[[Array], Array] = onnxruntime(model, threads)
    else:
        backbone = compile_backbone(model, "openvino", threads=threads)
    return lambda images, brain: segment(backbone, model.head, images, brain, patching)


def _voxels(brain: npt.NDArray[np.bool_], patching: Patching) -> int:
    """Voxels of all patches that are computed; MONAI spreads them a little otherwise."""
    size, overlap = patching.laid_out(brain)
    room = np.asarray(pad_to(brain, size, value=False), bool)
    return len(starts(room, size, overlap)) * int(np.prod(size))


def _cpu_s() -> float:
    """Processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
