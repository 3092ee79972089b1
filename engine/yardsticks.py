"""What others would use for inference, to be measured beside ours; no part of the service.

MONAI and ONNX Runtime are installed by ``make bench-setup`` and imported here alone.
"""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.head import Head
from engine.inference import Patching
from engine.network import Network, NetworkConfig
from engine.runtime import Array
from engine.weights import Manifest, Model
from study.errors import FailedError


def monai_torch(model: Model, patching: Patching, threads: int) -> Callable[[Array], Array]:
    """What a user would write: MONAI's sliding window over the whole volume, torch in float32.

    Parameters
    ----------
    model
        Its backbone and its own head are run.
    patching
        Size, overlap, batch and blending are taken over.
    threads
        Of torch.

    Returns
    -------
    callable
        ``(C, D, H, W)`` to logits ``(K, D, H, W)``.

    Raises
    ------
    FailedError
        If MONAI is not installed.
    """
    inferers = _installed("monai.inferers")
    torch.set_num_threads(threads)
    network = _whole(model)
    window = inferers.SlidingWindowInferer(
        roi_size=patching.size,
        sw_batch_size=patching.batch,
        overlap=patching.overlap,
        mode=patching.blending,
        cval=patching.outside,
    )

    def run(images: Array) -> Array:
        with torch.inference_mode():
            answer: Array = window(torch.from_numpy(images[None]), network)[0].numpy()
        return answer

    return run


def onnxruntime(model: Model, threads: int) -> Callable[[Array], Array]:
    """A model's backbone in ONNX Runtime, on the processor.

    Returns
    -------
    callable
        ``(N, C, d, h, w)`` to features ``(N, F, d, h, w)``.

    Raises
    ------
    FailedError
        If ONNX Runtime, or the ONNX package that exporting needs, is not installed.
    """
    runtime = _installed("onnxruntime")
    _installed("onnx")
    config = model.manifest.network
    size = 2 * config.stride
    with tempfile.TemporaryDirectory(prefix="glioloop-") as folder, warnings.catch_warnings():
        # torch announces that this exporter will go; the other one needs two more packages.
        warnings.simplefilter("ignore", DeprecationWarning)
        file = Path(folder) / "backbone.onnx"
        torch.onnx.export(
            model.backbone,
            (torch.zeros(1, config.channels_in, size, size, size),),
            str(file),
            dynamo=False,
            input_names=["images"],
            output_names=["features"],
            dynamic_axes={"images": {0: "n", 2: "d", 3: "h", 4: "w"}},
        )
        network = file.read_bytes()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def run(images: Array) -> Array:
        answer: Array = session.run(None, {"images": images})[0]
        return answer

    return run


def untrained(config: NetworkConfig, images: Array) -> Model:
    """A network with random weights whose classes all win somewhere.

    Parameters
    ----------
    config
        Its shape.
    images
        ``(C, d, h, w)`` float32, sizes divisible by the stride: the head is centred on them.
    """
    torch.manual_seed(0)
    network = Network(config).eval().requires_grad_(requires_grad=False)
    with torch.inference_mode():
        features = network.backbone(torch.from_numpy(images[None]))[0].flatten(1).numpy()
    random = np.random.default_rng(0)
    weight = random.normal(size=(config.classes, len(features))) / features.std(axis=1)
    names = tuple(f"class {number}" for number in range(config.classes))
    manifest = Manifest("untrained", "0", config, 1.0, "none", names)
    bias = -(weight @ features.mean(axis=1))
    return Model(manifest, network.backbone, Head(weight, bias, ""))


def _whole(model: Model) -> nn.Module:
    """Backbone and head in one module."""
    classes, features = model.head.weight.shape
    last = nn.Conv3d(features, classes, 1).requires_grad_(requires_grad=False)
    last.weight.copy_(torch.tensor(model.head.weight)[:, :, None, None, None])
    last.bias.copy_(torch.tensor(np.array(model.head.bias)))  # type: ignore[union-attr]
    return nn.Sequential(model.backbone, last).eval()


def _installed(name: str) -> Any:
    """A package that only measuring needs."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise FailedError(
            f"{name} is missing, and ours is compared with it: make bench-setup installs it"
        ) from error
