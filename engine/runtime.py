"""Networks made ready to run: OpenVINO on a processor, torch on a CUDA device.

What comes out is a callable of arrays, so that nothing behind it knows torch or OpenVINO.
"""

from __future__ import annotations

import copy
import hashlib
import logging
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import nn

from engine.processor import has_bf16, threads_given
from engine.weights import Model
from study.errors import FailedError, RefusedError

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
Device = Literal["auto", "openvino", "cuda", "torch"]
Precision = Literal["auto", "bf16", "f32"]


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
        Where the converted network is kept, so that only the first start converts it.
    threads
        Default: as many as the process is given.
    precision
        ``"auto"``: bf16 where the hardware is faster in it.

    Returns
    -------
    Run
        For any size that the network's stride divides; the first call with a size takes longer.

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
        call = _checked(_cuda(module, name), config.channels_in, config.stride)
        return Run(torch.cuda.get_device_name(), name, threads, call)
    if device == "torch":
        torch.set_num_threads(threads)
        call = _checked(_eager(module), config.channels_in, config.stride)
        return Run("torch", "f32", threads, call)
    name = ("bf16" if has_bf16() else "f32") if precision == "auto" else precision
    network = _converted(module, config.channels_in, 2 * config.stride, key, cache_dir)
    call = _checked(_OpenVINO(network, name, threads), config.channels_in, config.stride)
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


def _cuda(module: nn.Module, precision: str) -> Callable[[Array], Array]:
    """Run in torch on the CUDA device; normalisation and sums stay in float32."""
    there = copy.deepcopy(module).to("cuda")

    def run(images: Array) -> Array:
        low = precision == "bf16"
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=low):
            stack = torch.from_numpy(images).to("cuda")
            answer: Array = there(stack).float().cpu().numpy()
        return answer

    return run


class _OpenVINO:
    """A network compiled by OpenVINO, once for each size of input that occurs."""

    def __init__(self, network: openvino.Model, precision: str, threads: int) -> None:
        self.network = network
        self.precision = precision
        self.threads = threads
        self.core = openvino.Core()
        self.queues: dict[tuple[int, ...], openvino.AsyncInferQueue] = {}

    def __call__(self, images: Array) -> Array:
        """One image for each stream; a stack of one has all threads to itself."""
        streams = min(len(images), self.threads)
        queue = self._queue((streams, *images.shape[1:]))
        answers: list[Array] = [np.empty(0, np.float32)] * len(images)

        def keep(request: openvino.InferRequest, index: int) -> None:
            answers[index] = request.get_output_tensor().data[0].copy()

        queue.set_callback(keep)
        for index in range(len(images)):
            queue.start_async([images[index : index + 1]], index)
        queue.wait_all()
        return np.stack(answers)

    def _queue(self, key: tuple[int, ...]) -> openvino.AsyncInferQueue:
        """Compile for (streams, channels, d, h, w), or remember."""
        if key not in self.queues:
            streams, *sizes = key
            self.network.reshape({0: [1, *sizes]})
            settings: dict[str, Any] = {
                "INFERENCE_PRECISION_HINT": self.precision,
                "INFERENCE_NUM_THREADS": self.threads,
                "NUM_STREAMS": streams,
            }
            compiled = self.core.compile_model(self.network, "CPU", settings)
            self.queues[key] = openvino.AsyncInferQueue(compiled, streams)
        return self.queues[key]


def _converted(
    module: nn.Module, channels: int, size: int, key: str, cache_dir: Path | None
) -> openvino.Model:
    """Convert to OpenVINO, or read what an earlier start kept."""
    if cache_dir is None:
        return _convert(module, channels, size)
    version = hashlib.sha256(f"{key} {openvino.get_version()}".encode()).hexdigest()[:32]
    kept = cache_dir / version
    if kept.is_dir():
        try:
            return openvino.Core().read_model(kept / "network.xml")
        except RuntimeError as error:
            logger.warning("the kept network %s is converted again: %s", version, error)
            return _convert(module, channels, size)
    network = _convert(module, channels, size)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as folder:
        partial = Path(folder) / version
        openvino.save_model(network, partial / "network.xml", compress_to_fp16=False)
        try:
            partial.rename(kept)
        except OSError as error:
            logger.info("another process kept network %s first: %s", version, error)
    return network


def _convert(module: nn.Module, channels: int, size: int) -> openvino.Model:
    """Convert by OpenVINO's own reader of torch modules.

    ``openvino.convert_model`` does the same, but reports each conversion to a public analytics
    service unless the user opted out on that machine; a hospital's service calls nobody.
    """
    module = module.cpu()
    example = torch.zeros(1, channels, size, size, size)
    reader = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        # OpenVINO's reader traces; torch 2.13 announces that tracing will go.
        warnings.simplefilter("ignore", DeprecationWarning)
        decoder = TorchScriptPythonDecoder(
            module,
            example_input=(example,),
            shared_memory=False,
            trace_kwargs={"check_trace": False},
        )
        network = reader.convert(reader.load(decoder))
    if network is None:
        raise FailedError("OpenVINO converted the network to nothing")
    return network
