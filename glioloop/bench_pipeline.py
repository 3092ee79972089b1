"""A whole study through the pipeline: seconds by steps, memory; and one adaptation beside it.

Each runs in a process of its own, whose memory is its own.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from converter.grid import resample
from engine.adapt import fit_head
from engine.sampling import FeatureSample
from glioloop import inference
from glioloop.bench import Figures, Measurement, Options
from glioloop.bench_phantom import PhantomImages, phantom_images
from glioloop.learning import sample_of
from glioloop.networks import Networks, prepare_networks
from glioloop.networks import Options as NetworkOptions
from glioloop.pipeline import Segmentation, segment_volumes
from glioloop.settings_models import Adaptation
from study.tissue import TUMOUR_TISSUES

LARGE = (512, 512, 400)
"""Columns, rows, slices of the largest study that must be taken."""
USUAL = (256, 256, 160)
LIMIT_S = 3600.0


def measurements(options: Options) -> Iterator[Measurement]:
    """The largest study, then an adaptation on a usual one."""
    large, usual = options.grid or LARGE, options.grid or USUAL
    yield Measurement(
        "memory",
        f"three images of {'x'.join(map(str, large))} from volumes to labels",
        lambda: _in_child("segment_large", large),
    )
    yield Measurement(
        "adaptation",
        f"one correction learnt, beside the inference of that study, {'x'.join(map(str, usual))}",
        lambda: _in_child("adapt_once", usual),
    )


def _in_child(task: str, grid: tuple[int, int, int]) -> Figures:
    """Figures of a task of this module, made in a process of its own."""
    figures: Figures = inference.run(task, {"grid": list(grid)}, LIMIT_S, module=__name__)
    return figures


def segment_large(arguments: dict[str, Any], _progress: Callable[[float], None]) -> dict[str, Any]:
    """Segment a phantom study on a grid, and say what memory it took."""
    columns, rows, slices = arguments["grid"]
    images = phantom_images((columns, rows, slices)).volumes
    networks = prepare_networks(NetworkOptions())
    given = _peak_gib()
    began = time.perf_counter()
    made = segment_volumes(images, networks)
    return {
        "s": round(time.perf_counter() - began, 1),
        **{f"{name}_s": round(value, 1) for name, value in made.seconds.items()},
        "images_gib": round(sum(v.array.nbytes for v in images.values()) / 2**30, 2),
        "before_gib": round(given, 2),
        "peak_gib": round(_peak_gib(), 2),
    }


def adapt_once(arguments: dict[str, Any], _progress: Callable[[float], None]) -> dict[str, Any]:
    """Segment a phantom study, learn its truth as a correction, again with features kept."""
    columns, rows, slices = arguments["grid"]
    images = phantom_images((columns, rows, slices))
    options = NetworkOptions()
    networks = prepare_networks(options)
    segment_volumes(images.volumes, networks, options=options)  # so that all is loaded
    began = time.perf_counter()
    made = segment_volumes(images.volumes, networks, options=options)
    segmented = time.perf_counter()
    sample = _sample(images, made, networks, options)
    sampled = time.perf_counter()
    fit = fit_head(networks.head, [sample])
    fitted = time.perf_counter()
    inferred = segmented - began
    return {
        "inference_s": round(inferred, 2),
        "features_s": round(sampled - segmented, 2),
        "fit_s": round(fitted - sampled, 2),
        "ours_s": round(fitted - segmented, 2),
        "ratio": round((fitted - segmented) / inferred, 3),
        "ratio_features_kept": round((fitted - sampled) / inferred, 3),
        "accepted": str(fit.accepted),
    }


def _sample(
    images: PhantomImages, made: Segmentation, networks: Networks, options: NetworkOptions
) -> FeatureSample:
    """Features that the truth of the phantom teaches, as `glioloop.learning` makes them."""
    kept = made.kept
    grid = kept.grid
    base = resample(made.labels, grid, order="nearest").array.astype(np.uint8)
    truth = resample(images.truth, grid, order="nearest").array.astype(np.uint8)
    masks = {tissue: (truth == tissue) & kept.brain for tissue in TUMOUR_TISSUES}
    outlined = frozenset(TUMOUR_TISSUES)
    return sample_of(kept, base, masks, outlined, networks, options, Adaptation().voxels)


def _peak_gib() -> float:
    """Most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
