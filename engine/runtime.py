"""Networks made ready to run: OpenVINO on a processor, torch on a CUDA device.

What comes out is a callable of arrays, so that nothing behind it knows torch or OpenVINO.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from engine.compiled import Compiled
from engine.network import NetworkConfig
from engine.portions import in_portions
from engine.processor import has_bf16, threads_given
from engine.weights import Model
from study.errors import FailedError, RefusedError

Array = npt.NDArray[np.float32]
Device = Literal["auto", "openvino", "cuda", "torch"]
Precision = Literal["auto", "bf16", "f32"]


ARRAYS = 13
"""Float32 arrays, of as many channels as the first level has filters, that a call takes in all:
measured with OpenVINO, on 160x192x160 voxels with 8 filters and on 96x96x96 with 24."""
CUDA_SHARE = 0.7
"""Of the free memory of a CUDA device that one call may be planned to take."""
CUDA_PATCHES = 16
"""Offered to a CUDA device in one call; it takes as many at once as its memory holds."""


def bytes_a_voxel(config: NetworkConfig) -> int:
    """Memory that a network takes for each voxel of its input."""
    return ARRAYS * config.filters[0] * np.dtype(np.float32).itemsize


def patches_at_once(device: Device) -> int:
    """Patches in one call that suit a device; a processor has none to spare for a second."""
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return CUDA_PATCHES if cuda else 1


@dataclass(frozen=True, eq=False)
class Run:
    """A network that is ready: ``(N, C, d, h, w)`` float32 to ``(N, K, d, h, w)`` float32.

    Not for several threads at once.

    Parameters
    ----------
    device, precision, threads
        What it runs on, for reports.
    call
        Does the work.
    """

    device: str
    precision: str
    threads: int
    call: Callable[[Array], Array]

    def __call__(self, images: Array) -> Array:
        """Answer for a stack of images."""
        return self.call(images)


def compile_backbone(
    model: Model,
    device: Device = "auto",
    cache_dir: Path | None = None,
    threads: int | None = None,
    precision: Precision = "auto",
) -> Run:
    """Make a model's backbone ready: images to features.

    Parameters
    ----------
    model
        From `engine.weights.load`.
    device
        ``"auto"`` is CUDA where torch finds it, else OpenVINO. ``"torch"`` is eager torch on the
        processor in float32: the yardstick.
    cache_dir
        Where the compiled network is kept, so that only the first start compiles it.
    threads
        Default: as many as the process is given.
    precision
        ``"auto"``: bf16 where the hardware is faster in it.

    Returns
    -------
    Run
        For any size that the network's stride divides; the first call with a size takes a little
        longer.

    Raises
    ------
    RefusedError
        If CUDA is wanted and torch finds none.
    """
    return _ready(model, model.backbone, model.backbone_hash, device, cache_dir, threads, precision)


def compile_network(
    model: Model,
    device: Device = "auto",
    cache_dir: Path | None = None,
    threads: int | None = None,
    precision: Precision = "auto",
) -> Run:
    """Make a whole model ready with its own head: images to logits. As `compile_backbone`."""
    classes, features = model.head.weight.shape
    last = nn.Conv3d(features, classes, 1).eval().requires_grad_(requires_grad=False)
    last.weight.copy_(torch.tensor(model.head.weight)[:, :, None, None, None])
    last.bias.copy_(torch.tensor(model.head.bias))  # type: ignore[union-attr]
    whole = nn.Sequential(model.backbone, last).eval()
    key = model.manifest.weights_sha256
    return _ready(model, whole, key, device, cache_dir, threads, precision)


def _ready(
    model: Model,
    module: nn.Module,
    key: str,
    device: Device,
    cache_dir: Path | None,
    threads: int | None,
    precision: Precision,
) -> Run:
    """Choose device and precision, and make a module ready."""
    config = model.manifest.network
    threads = threads or threads_given()
    if device == "cuda" and not torch.cuda.is_available():
        raise RefusedError("device cuda is configured, but torch finds none: use auto or openvino")
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        name = "f32" if precision == "f32" else "bf16"
        call = _checked(_cuda(module, config, name), config.channels_in, config.stride)
        return Run(torch.cuda.get_device_name(), name, threads, call)
    if device == "torch":
        torch.set_num_threads(threads)
        call = _checked(_eager(module), config.channels_in, config.stride)
        return Run("torch", "f32", threads, call)
    name = ("bf16" if has_bf16() else "f32") if precision == "auto" else precision
    compiled = Compiled(module, config, key, name, threads, cache_dir)
    call = _checked(compiled, config.channels_in, config.stride)
    return Run("openvino", name, threads, call)


def _checked(
    call: Callable[[Array], Array], channels: int, stride: int
) -> Callable[[Array], Array]:
    """Refuse what the network cannot take, in words."""

    def checked(images: Array) -> Array:
        sizes = images.shape[2:]
        if images.ndim != 5 or images.shape[1] != channels or any(n % stride for n in sizes):
            raise RefusedError(
                f"the network takes (N, {channels}, d, h, w) with sizes divisible by {stride},"
                f" not {images.shape}"
            )
        return call(np.ascontiguousarray(images, np.float32))

    return checked


def _eager(module: nn.Module) -> Callable[[Array], Array]:
    """Run in eager torch, on the processor."""

    def run(images: Array) -> Array:
        with torch.inference_mode():
            answer: Array = module(torch.from_numpy(images)).numpy()
        return answer

    return run


def _cuda(module: nn.Module, config: NetworkConfig, precision: str) -> Callable[[Array], Array]:
    """Run in torch on the CUDA device; normalisation and sums stay in float32."""
    there = copy.deepcopy(module).to("cuda")

    def run(images: Array) -> Array:
        low = precision == "bf16"
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=low):
            stack = torch.from_numpy(images).to("cuda")
            answer: Array = there(stack).float().cpu().numpy()
        return answer

    def bounded(images: Array) -> Array:
        free, _total = torch.cuda.mem_get_info()
        fitting = int(CUDA_SHARE * free) // (bytes_a_voxel(config) * int(np.prod(images.shape[2:])))
        try:
            return in_portions(run, images, max(1, fitting), torch.OutOfMemoryError)
        except torch.OutOfMemoryError as error:
            raise FailedError(
                f"the CUDA device has no memory for {images.shape[2:]} voxels at once,"
                f" {free / 2**30:.1f} GiB were free: end what else uses it, or use openvino"
            ) from error

    return bounded
