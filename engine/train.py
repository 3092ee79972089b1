"""Training on generated heads, in slices that resume.

The loop runs on torch and numpy; what it learns from comes through an iterator, so that it does not
know where heads come from. Weights are averaged over the last steps (Polyak and Juditsky 1992), and
the batch statistics of the averaged weights are estimated anew before they are used.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.crops import Example, crops
from engine.losses import batch_dice_loss, cross_entropy_loss
from engine.network import Network, NetworkConfig
from engine.processor import has_bf16
from study.errors import RefusedError

logger = logging.getLogger(__name__)

REGIONS = {"tumour": ((1, 2, 3), (1, 3), (3,)), "brain": ((1, 2), (2,))}
"""Classes of the regions whose Dice is trained, for each task."""
AVERAGING = 0.996
"""Share of the running average that each step keeps."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Parameters
    ----------
    task
        ``"tumour"`` or ``"brain"``.
    steps
        Steps of the whole schedule, all slices together.
    crops
        Crops of one step.
    edge
        Edge of a crop in voxels.
    rate
        Greatest learning rate: reached after `warm_up` steps, then a cosine down to a hundredth.
    warm_up
        Steps.
    ring
        Heads kept to take crops from.
    class_weights
        Weights of the classes in the cross-entropy.
    """

    task: str = "tumour"
    steps: int = 2000
    crops: int = 8
    edge: int = 48
    rate: float = 2.5e-3
    warm_up: int = 40
    ring: int = 64
    class_weights: tuple[float, ...] = (1.0, 2.0, 1.5, 2.5)


class Trainer:
    """A network in training, with its optimiser and averaged weights.

    Parameters
    ----------
    config
        Of the network.
    plan
        How to train it.
    device
        Where to compute; ``"cuda"`` where there is one.
    seed
        Of initial weights and of crops.
    compiled
        Compile the network first: minutes at the start, a third off every step.
    """

    def __init__(
        self, config: NetworkConfig, plan: Plan, device: str, seed: int, *, compiled: bool = False
    ) -> None:
        torch.manual_seed(seed)
        self.plan, self.config, self.seed = plan, config, seed
        self.device = torch.device(device)
        self.network = Network(config).to(self.device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network)
        self.forward = torch.compile(self.network) if compiled else self.network
        self.low_precision = self.device.type == "cuda" or has_bf16()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), plan.rate, weight_decay=1e-4)
        self.weights = torch.tensor(plan.class_weights, device=self.device)
        self.rng = np.random.default_rng(seed)
        self.steps_done = 0

    def step(self, ring: list[Example]) -> dict[str, float]:
        """Take one step on crops of the ring; returns the parts of the loss."""
        images, labels = self._crops(ring)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.plan, self.steps_done)
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            logits = self.forward(images)
        logits = logits.float()
        dice = batch_dice_loss(logits, labels, REGIONS[self.plan.task])
        entropy = cross_entropy_loss(logits, labels, self.weights)
        loss = dice + entropy
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.steps_done += 1
        keep = min(AVERAGING, self.steps_done / (self.steps_done + 10.0))
        with torch.no_grad():
            for mean, now in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(now, 1.0 - keep)
        return {"dice": float(dice.detach()), "entropy": float(entropy.detach())}

    def finished(self, ring: list[Example], batches: int = 24) -> Network:
        """Averaged network with batch statistics estimated anew on crops of the ring."""
        network: Network = copy.deepcopy(self.averaged)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm3d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches that follow
        network.train()
        low = torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision)
        with torch.no_grad(), low:
            for _ in range(batches):
                network(self._crops(ring)[0])
        return network.eval()

    def save(self, folder: Path) -> None:
        """Write everything that resuming needs: safetensors and JSON, no pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.state_dict().items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": v for k, v in state.items()}
        partial = folder / "state.safetensors.part"
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial)
        partial.replace(folder / "state.safetensors")
        progress = {"steps_done": self.steps_done, "network": self.config.to_json()}
        (folder / "progress.json").write_text(json.dumps(progress))

    def start_from(self, network: Network) -> None:
        """Begin with the weights of another network of the same shape.

        Raises
        ------
        RefusedError
            If it has another shape.
        """
        if network.config != self.config:
            raise RefusedError(f"weights of {network.config} do not fit {self.config}")
        for ours in (self.network, self.averaged):
            ours.load_state_dict(network.state_dict())

    def resume(self, folder: Path) -> None:
        """Continue from what `save` wrote; crops are drawn from a new, derived seed.

        Raises
        ------
        RefusedError
            If it was written for another network.
        """
        progress = json.loads((folder / "progress.json").read_text())
        if NetworkConfig.from_json(progress["network"]) != self.config:
            raise RefusedError(f"{folder} holds another network: {progress['network']}")
        tensors = load_file(folder / "state.safetensors", device=str(self.device))
        self.network.load_state_dict(_under("network.", tensors))
        self.averaged.load_state_dict(_under("averaged.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.steps_done = int(progress["steps_done"])
        self.rng = np.random.default_rng((self.seed, self.steps_done))

    def _crops(self, ring: list[Example]) -> tuple[Tensor, Tensor]:
        """Draw crops on the device; the whole head where the plan's edge is 0."""
        if self.plan.edge:
            images, labels = crops(ring, self.plan.crops, self.plan.edge, self.rng)
        else:
            chosen = [ring[int(n)] for n in self.rng.integers(len(ring), size=self.plan.crops)]
            images = torch.from_numpy(np.stack([e.images for e in chosen]).astype(np.float32))
            labels = torch.from_numpy(np.stack([e.labels for e in chosen]).astype(np.int64))
        moved = images.to(self.device, memory_format=torch.channels_last_3d)
        return moved, labels.to(self.device)


def pick_device() -> str:
    """``"cuda"`` where torch finds one, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def learning_rate(plan: Plan, step: int) -> float:
    """Learning rate of a step: linear warm-up, then a cosine to a hundredth of the greatest."""
    if step < plan.warm_up:
        return plan.rate * (step + 1) / plan.warm_up
    done = min(1.0, (step - plan.warm_up) / max(1, plan.steps - plan.warm_up))
    return plan.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))


def train(
    trainer: Trainer,
    take: Callable[[bool], Example | None],
    *,
    minutes: float,
    folder: Path,
    report: Callable[[dict[str, float]], None],
) -> list[Example]:
    """Train until the plan's last step or until time is up; the state is saved every two minutes.

    Parameters
    ----------
    trainer
        What to train; its `steps_done` says where it stands.
    take
        ``take(wait)`` gives the next head, or None where none is ready and `wait` is false.
    minutes
        Longest time of this slice.
    folder
        Where the state is kept.
    report
        Called every 20 steps with step, losses and seconds.

    Returns
    -------
    list of Example
        The ring as it stands at the end.
    """
    ring: list[Example] = []
    start = saved = time.monotonic()
    shown = {"dice": 0.0, "entropy": 0.0}
    while trainer.steps_done < trainer.plan.steps and time.monotonic() - start < 60.0 * minutes:
        fresh = take(len(ring) < min(8, trainer.plan.ring))
        if fresh is not None:
            ring = [*ring[-trainer.plan.ring + 1 :], fresh]
        if len(ring) < min(8, trainer.plan.ring):
            continue
        for name, value in trainer.step(ring).items():
            shown[name] += (value - shown[name]) * 0.05
        if trainer.steps_done % 20 == 0:
            elapsed = time.monotonic() - start
            report({"step": trainer.steps_done, "seconds": elapsed, "heads": len(ring), **shown})
        if time.monotonic() - saved > 120.0:
            trainer.save(folder)
            saved = time.monotonic()
    trainer.save(folder)
    return ring


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose name starts with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
