"""Weights on disk: a safetensors file and a manifest that says what the model really is.

Nothing is unpickled, and nothing is used before its hash was checked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from engine.head import Head
from engine.network import Network, NetworkConfig
from study.errors import RefusedError

WEIGHTS_FILE = "weights.safetensors"
MANIFEST_FILE = "manifest.json"

BOOKKEEPING = "num_batches_tracked"
"""What batch normalisation counts while it is trained; it changes no answer, and is not kept."""


@dataclass(frozen=True)
class Manifest:
    """What a model is, and where it comes from.

    Parameters
    ----------
    name, version
        Of the model; they appear in results as the algorithm's.
    network
        Its shape.
    spacing_mm
        Distance between voxels of the grid it works on, the same on all axes.
    finest_spacing_mm
        Finest grid that it was trained on too; 0.0 where that is `spacing_mm`.
    normalisation
        Name of the way intensities are normalised.
    outside_value
        Normalised value of voxels outside the brain.
    dropped_value
        Normalised value of a whole channel that is missing.
    tolerates_missing
        Roles (`study.tissue.Role`) that may be missing.
    labels
        Names of its classes, in order, background first.
    anatomies
        What it was trained on.
    steps, seed
        Of its training.
    created
        When, ISO 8601.
    notes
        Anything a person should know.
    backbone_sha256, weights_sha256
        Filled in by `save`: of all that turns images into features, and of the weights file.
    """

    name: str
    version: str
    network: NetworkConfig
    spacing_mm: float
    normalisation: str
    labels: tuple[str, ...]
    outside_value: float = 0.0
    dropped_value: float = 0.0
    tolerates_missing: tuple[str, ...] = ()
    anatomies: tuple[str, ...] = ()
    steps: int = 0
    seed: int = 0
    created: str = ""
    notes: str = ""
    finest_spacing_mm: float = 0.0
    backbone_sha256: str = ""
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        for name in ("labels", "tolerates_missing", "anatomies"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.labels) != self.network.classes:
            raise RefusedError(
                f"a network of {self.network.classes} classes needs as many names of labels,"
                f" not {list(self.labels)}"
            )
        if not 0.0 <= self.finest_spacing_mm <= self.spacing_mm:
            raise RefusedError(
                f"the finest spacing of a model for {self.spacing_mm:g} mm is 0 (the same) to"
                f" {self.spacing_mm:g} mm, not {self.finest_spacing_mm:g}"
            )

    @property
    def finest_mm(self) -> float:
        """Edge in mm of the smallest voxels that it was trained on."""
        return self.finest_spacing_mm or self.spacing_mm

    def to_json(self) -> str:
        """Text that `from_json` turns into the same manifest."""
        return json.dumps({**asdict(self), "network": self.network.to_json()}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Undo `to_json`.

        Raises
        ------
        RefusedError
            If the text is no manifest, or names something that no manifest has.
        """
        try:
            values = json.loads(text)
            unknown = set(values) - {f.name for f in fields(cls)}
            if unknown:
                raise RefusedError(f"a manifest has no {sorted(unknown)}")
            return cls(**{**values, "network": NetworkConfig.from_json(values["network"])})
        except RefusedError:
            raise
        except (ValueError, TypeError, KeyError) as error:
            raise RefusedError(f"this text is no manifest: {error!r}") from error


@dataclass(frozen=True, eq=False)
class Model:
    """A backbone for everybody and the head it was trained with.

    Parameters
    ----------
    manifest
        What it is.
    backbone
        Frozen, in evaluation mode, float32, on the CPU.
    head
        The base head.
    """

    manifest: Manifest
    backbone: nn.Module
    head: Head
    backbone_hash: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "backbone_hash", self.manifest.backbone_sha256)


def save(folder: Path, network: Network, manifest: Manifest) -> Manifest:
    """Write a model.

    Kernels of the backbone are kept in 16 bits; vectors (biases, statistics of batch normalisation,
    whose range 16 bits do not cover) and the head in 32.

    Parameters
    ----------
    folder
        Made where it does not exist; a model in it is replaced, weights first.
    network
        Trained.
    manifest
        Its hashes are filled in here.

    Returns
    -------
    Manifest
        As written.

    Raises
    ------
    RefusedError
        If the manifest describes another network, or a number is not finite in what is written.
    """
    if manifest.network != network.config:
        raise RefusedError(
            f"the manifest describes {manifest.network}, the network is {network.config}"
        )
    tensors = {
        name: _stored(name, tensor)
        for name, tensor in sorted(network.state_dict().items())
        if not name.endswith(BOOKKEEPING)
    }
    _check_finite(tensors)
    data = safetensors.torch.save(tensors)
    written = replace(
        manifest,
        backbone_sha256=_backbone_sha256(tensors, manifest),
        weights_sha256=hashlib.sha256(data).hexdigest(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / WEIGHTS_FILE, data)
    _replace(folder / MANIFEST_FILE, written.to_json().encode())
    return written


def load_network(folder: Path) -> tuple[Network, Manifest]:
    """Read a model, and refuse it unless it is exactly what its manifest says.

    Raises
    ------
    RefusedError
        If a file is missing or broken, a hash differs, a tensor is missing, unexpected or of
        another shape, or a number is not finite.
    """
    try:
        text = (folder / MANIFEST_FILE).read_text(encoding="utf-8")
        data = (folder / WEIGHTS_FILE).read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"there is no readable model in {folder}: {error}") from error
    manifest = Manifest.from_json(text)
    found = hashlib.sha256(data).hexdigest()
    if found != manifest.weights_sha256:
        raise RefusedError(
            f"the weights of model {manifest.name} {manifest.version} have sha256 {found[:12]},"
            f" its manifest says {manifest.weights_sha256[:12]}: install the model again"
        )
    try:
        tensors = safetensors.torch.load(data)
    except SafetensorError as error:
        raise RefusedError(
            f"the weights of model {manifest.name} are no safetensors file: {error}"
        ) from error
    network = Network(manifest.network)
    _check_shapes(tensors, network.state_dict())
    _check_finite(tensors)
    backbone_sha256 = _backbone_sha256(tensors, manifest)
    if backbone_sha256 != manifest.backbone_sha256:
        raise RefusedError(
            f"the backbone of model {manifest.name} has hash {backbone_sha256[:12]}, its manifest"
            f" says {manifest.backbone_sha256[:12]}: the manifest was changed by hand"
        )
    network.load_state_dict({name: t.float() for name, t in tensors.items()}, strict=False)
    return network.eval(), manifest


def load(folder: Path) -> Model:
    """Read a model for inference: a frozen backbone and the head it was trained with.

    Raises
    ------
    RefusedError
        As `load_network`.
    """
    network, manifest = load_network(folder)
    backbone = network.backbone.requires_grad_(requires_grad=False)
    weight, bias = network.head.weight.detach(), network.head.bias
    if bias is None:
        raise RefusedError(f"the head of model {manifest.name} has no bias")
    head = Head(weight.flatten(1).numpy(), bias.detach().numpy(), manifest.backbone_sha256)
    return Model(manifest, backbone, head)


def shipped(name: Literal["base", "brain"]) -> Path:
    """Folder of a model that comes with Glioloop: ``"base"`` for patches, ``"brain"`` for heads."""
    return Path(__file__).parent / "models" / name


def _stored(name: str, tensor: Tensor) -> Tensor:
    """Bring a tensor to the type it is kept in."""
    kernel = tensor.ndim > 1 and not name.startswith("head.")
    return tensor.detach().cpu().to(torch.float16 if kernel else torch.float32).contiguous()


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse NaN and infinity."""
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise RefusedError(f"the weights hold a number that is not finite, in {name}")


def _check_shapes(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are missing, unexpected or of another shape."""
    names = {name for name in wanted if not name.endswith(BOOKKEEPING)}
    if missing := sorted(names - set(tensors)):
        raise RefusedError(f"the weights lack {len(missing)} tensors, first {missing[0]}")
    if extra := sorted(set(tensors) - names):
        raise RefusedError(f"the weights have {len(extra)} unexpected tensors, first {extra[0]}")
    for name in sorted(names):
        if tensors[name].shape != wanted[name].shape:
            raise RefusedError(
                f"{name} has shape {tuple(tensors[name].shape)}, the network of the manifest"
                f" needs {tuple(wanted[name].shape)}"
            )


def _backbone_sha256(tensors: Mapping[str, Tensor], manifest: Manifest) -> str:
    """Hash all that turns images into features: weights, shape, grid, normalisation."""
    digest = hashlib.sha256()
    facts: dict[str, Any] = {
        "network": {**manifest.network.to_json(), "classes": None},
        "spacing_mm": manifest.spacing_mm,
        "normalisation": manifest.normalisation,
        "outside_value": manifest.outside_value,
        "dropped_value": manifest.dropped_value,
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        if name.startswith("backbone."):
            digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
            digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_bytes(data)
    partial.replace(path)
