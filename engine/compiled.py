"""A network compiled by OpenVINO for this processor, once: a later start reads what was kept."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import nn

from engine.network import NetworkConfig
from engine.processor import instructions
from study.errors import FailedError

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]

SUFFIX = ".compiled"
DIGEST = hashlib.sha256().digest_size


class Compiled:
    """A network for inputs of any size: ``(N, C, d, h, w)`` float32 to ``(N, K, d, h, w)``.

    Parameters
    ----------
    module
        In evaluation mode.
    config
        Its shape.
    key
        Hash of its weights.
    precision
        ``"f32"`` or ``"bf16"``.
    threads
        All of them work on one item at a time: two streams would take twice the memory.
    cache_dir
        Where it is kept, readable for its owner alone; nowhere if None.
    """

    def __init__(
        self,
        module: nn.Module,
        config: NetworkConfig,
        key: str,
        precision: str,
        threads: int,
        cache_dir: Path | None,
    ) -> None:
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        }
        kept = None if cache_dir is None else cache_dir / (_name(key, precision) + SUFFIX)
        compiled = None if kept is None else _read(kept, settings)
        if compiled is None:
            network = convert(module, config.channels_in, 2 * config.stride)
            # One for all sizes: compiling for each takes longer than it saves.
            network.reshape({0: [1, config.channels_in, -1, -1, -1]})
            compiled = openvino.Core().compile_model(network, "CPU", settings)
            if kept is not None:
                _keep(compiled, kept)
        self._request = compiled.create_infer_request()

    def __call__(self, images: Array) -> Array:
        """One item after another, each with all threads."""
        answers = [np.array(self._request.infer([item[None]])[0][0]) for item in images]
        return np.stack(answers) if len(answers) != 1 else answers[0][None]


FORMAT = "1"
"""Another where the same weights are converted, or computed, otherwise."""


def _name(key: str, precision: str) -> str:
    """What a compiled network is kept under: all that it depends on."""
    facts = [FORMAT, key, precision, openvino.get_version(), *sorted(instructions())]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


def _read(kept: Path, settings: Mapping[str, Any]) -> openvino.CompiledModel | None:
    """Read a kept network; None where there is none, or none that can be used.

    OpenVINO imports bytes that were changed without a word, so the file begins with their hash.
    """
    try:
        data = kept.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("the compiled network %s is made again: %s", kept.name, error.strerror)
        return None
    if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
        logger.warning("the compiled network %s is made again: it is damaged", kept.name)
        return None
    try:
        return openvino.Core().import_model(data[DIGEST:], "CPU", dict(settings))
    except RuntimeError as error:
        logger.warning("the compiled network %s is made again: %s", kept.name, error)
        return None


def _keep(compiled: openvino.CompiledModel, kept: Path) -> None:
    """Write a compiled network whole or not at all; where that fails, the next start compiles."""
    data = bytes(compiled.export_model().getvalue())
    try:
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=kept.parent)  # readable for its owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(data).digest() + data)
            Path(partial).replace(kept)
        finally:
            Path(partial).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("the compiled network is not kept: %s", error.strerror)


def convert(module: nn.Module, channels: int, size: int) -> openvino.Model:
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
