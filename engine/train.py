"""Training a network, in slices that resume.

The loop runs on torch and numpy; what it learns from comes through an iterator, so that it does not
know where heads come from. Weights are averaged over the last steps (Polyak and Juditsky 1992), and
the batch statistics of the averaged weights are estimated anew before they are used.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.crops import Example
from engine.feed import Batch, Feed, Take, drawn, feed_for
from engine.losses import batch_dice_loss, cross_entropy_loss, region_entropy_loss
from engine.network import Network, NetworkConfig
from engine.plan import REGIONS, Plan, Plateau, learning_rate
from engine.processor import has_bf16
from engine.ranks import ALONE, Ranks
from study.errors import FailedError, RefusedError

__all__ = ["Plan", "Trainer", "learning_rate", "train"]

STATE_FILE, PROGRESS_FILE, BEST_FILE = "state.safetensors", "progress.json", "best.safetensors"
SAVE_S, REPORT_STEPS = 120.0, 20
"""Seconds between two saves of the state; steps between two reports."""

Report = Callable[[dict[str, float]], None]
Validate = Callable[[Network], float]


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
    ranks
        Which of several processes this is; gradients are averaged over all.

    Raises
    ------
    RefusedError
        If the network has not as many classes as the plan has labels.
    """

    def __init__(
        self,
        config: NetworkConfig,
        plan: Plan,
        device: str,
        seed: int,
        *,
        compiled: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        if config.classes != len(plan.labels):
            raise RefusedError(
                f"a network of {config.classes} classes does not fit labels {list(plan.labels)}"
            )
        torch.manual_seed(seed)
        self.plan, self.config, self.seed, self.ranks = plan, config, seed, ranks
        self.device = torch.device(device)
        # The order of numbers in memory that convolutions like; DDP's buckets want the plain one.
        order = torch.channels_last_3d if ranks.world == 1 else torch.contiguous_format
        self.network = Network(config).to(self.device, memory_format=order)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network)
        self.forward = ranks.shared(torch.compile(self.network) if compiled else self.network)  # type: ignore[arg-type]
        self.low_precision = self.device.type == "cuda" or has_bf16()
        kind = torch.optim.AdamW if plan.optimiser == "adamw" else torch.optim.Adam
        self.optimiser = kind(self.network.parameters(), plan.rate, weight_decay=plan.weight_decay)
        self.weights = torch.tensor(plan.class_weights, device=self.device)
        self.rng = np.random.default_rng(seed if ranks.first else (seed, ranks.rank))
        self.plateau = Plateau(plan.rate)
        self.best_loss = math.inf
        self.steps_done = 0

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        if self.plan.schedule == "plateau":
            return self.plateau.rate
        return learning_rate(self.plan, self.steps_done)

    def step(self, ring: list[Example]) -> dict[str, float]:
        """Take one step on crops of the ring; returns the parts of the loss."""
        return self.learn(drawn(ring, self.plan, self.config.stride, self.rng))

    def learn(self, batch: Batch) -> dict[str, float]:
        """Take one step on a batch; returns the parts of the loss."""
        images, labels = self._moved(batch)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
            logits = self.forward(images)
        dice, entropy = self.losses(logits.float(), labels)
        loss = dice + self.plan.entropy_weight * entropy
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.steps_done += 1
        keep = min(self.plan.averaging, self.steps_done / (self.steps_done + 10.0))
        with torch.no_grad():
            for mean, now in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(now, 1.0 - keep)
        return {"dice": float(dice.detach()), "entropy": float(entropy.detach())}

    def losses(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Dice loss and cross-entropy of a batch; the latter is 0 where the plan has none."""
        plan, regions = self.plan, REGIONS[self.plan.task]
        dice = batch_dice_loss(logits, labels, regions, plan.output)
        if plan.loss == "dice":
            return dice, dice.new_zeros(())
        if plan.output == "multi-label":
            return dice, region_entropy_loss(logits, labels, self.weights, regions)
        return dice, cross_entropy_loss(logits, labels, self.weights)

    def validation_loss(self, network: Network, batches: Iterable[Batch]) -> float:
        """Mean loss of a network over batches that are not learnt from."""
        losses = []
        with torch.no_grad():
            for batch in batches:
                images, labels = self._moved(batch)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision):
                    logits = network(images)
                dice, entropy = self.losses(logits.float(), labels)
                losses.append(float(dice + self.plan.entropy_weight * entropy))
        return fmean(losses)

    def finished(self, ring: list[Example], batches: int = 24) -> Network:
        """Averaged network with batch statistics estimated anew on crops of the ring.

        Where the plan averages no weights it is the network as it stands.
        """
        if not self.plan.averaging:
            plain: Network = copy.deepcopy(self.network)
            return plain.eval()
        network: Network = copy.deepcopy(self.averaged)
        norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm3d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches that follow
        network.train()
        low = torch.autocast(self.device.type, torch.bfloat16, enabled=self.low_precision)
        with torch.no_grad(), low:
            for _ in range(batches):
                network(self._moved(drawn(ring, self.plan, self.config.stride, self.rng))[0])
        return network.eval()

    def epoch(self, network: Network, loss: float, folder: Path) -> None:
        """Enter an epoch's validation loss: the rate may fall, and the best network is kept."""
        self.plateau = self.plateau.after(loss, self.plan)
        if loss < self.best_loss:
            self.best_loss = loss
            if self.ranks.first:
                _write(folder / BEST_FILE, network.state_dict())

    def best(self, folder: Path) -> Network | None:
        """The network with the least validation loss so far; None before the first epoch."""
        if not (folder / BEST_FILE).exists():
            return None
        network = Network(self.config)
        network.load_state_dict(load_file(folder / BEST_FILE))
        return network.eval()

    def save(self, folder: Path) -> None:
        """Write everything that resuming needs: safetensors and JSON, no pickle.

        Of several processes only the first writes.
        """
        if not self.ranks.first:
            return
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.state_dict().items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{k}": v for k, v in state.items()}
        _write(folder / STATE_FILE, tensors)
        progress = {
            "steps_done": self.steps_done,
            "network": self.config.to_json(),
            "plan": asdict(self.plan),
            "plateau": asdict(self.plateau),
            "best_loss": self.best_loss if math.isfinite(self.best_loss) else None,
        }
        (folder / PROGRESS_FILE).write_text(json.dumps(progress))

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
            If it was written for another network, task, output or optimiser.
        """
        progress = json.loads((folder / PROGRESS_FILE).read_text())
        if NetworkConfig.from_json(progress["network"]) != self.config:
            raise RefusedError(f"{folder} holds another network: {progress['network']}")
        before = progress.get("plan", {})
        for name in ("task", "output", "optimiser"):
            ours = getattr(self.plan, name)
            if before.get(name, ours) != ours:
                raise RefusedError(
                    f"{folder} holds a training whose {name} is {before[name]!r}, not {ours!r}:"
                    " go on as it began, or take another folder"
                )
        tensors = load_file(folder / STATE_FILE, device=str(self.device))
        self.network.load_state_dict(_under("network.", tensors))
        self.averaged.load_state_dict(_under("averaged.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": state, "param_groups": groups})
        self.steps_done = int(progress["steps_done"])
        if "plateau" in progress:
            self.plateau = Plateau(**progress["plateau"])
        best = progress.get("best_loss")
        self.best_loss = math.inf if best is None else float(best)
        self.rng = np.random.default_rng((self.seed, self.ranks.rank, self.steps_done))

    def _moved(self, batch: Batch) -> Batch:
        """A batch on the device."""
        images, labels = batch
        moved = images.to(self.device, memory_format=torch.channels_last_3d)
        return moved, labels.to(self.device)


def train(
    trainer: Trainer,
    take: Take,
    *,
    minutes: float,
    folder: Path,
    report: Report,
    validate: Validate | None = None,
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
        Where the state is kept, and the best network of the epochs.
    report
        Called every 20 steps with step, losses, rate and seconds.
    validate
        Gives the loss of a network on heads that are not learnt from; asked after every epoch of
        the plan, by the first process for all.

    Returns
    -------
    list of Example
        The last heads that came.

    Raises
    ------
    RefusedError
        If the plan's schedule needs a validation that is not given.
    FailedError
        If no head comes.
    """
    plan, ranks = trainer.plan, trainer.ranks
    if plan.schedule == "plateau" and validate is None:
        raise RefusedError(
            "the plateau schedule needs heads to validate on, and none is held out: give more"
            " cases, or use the cosine schedule"
        )
    feed = feed_for(plan, trainer.config.stride, trainer.rng)
    start = saved = time.monotonic()
    shown = {"dice": 0.0, "entropy": 0.0}
    while trainer.steps_done < plan.steps:
        if ranks.any(holds=time.monotonic() - start >= 60.0 * minutes):
            break
        _fill(feed, take)
        for name, value in trainer.learn(feed.batch()).items():
            shown[name] += (value - shown[name]) * 0.05
        if plan.epoch and validate is not None and trainer.steps_done % plan.epoch == 0:
            _end_epoch(trainer, feed.heads, validate, folder)
        if trainer.steps_done % REPORT_STEPS == 0 and ranks.first:
            elapsed = time.monotonic() - start
            now = {"step": trainer.steps_done, "seconds": elapsed, "heads": len(feed.heads)}
            report({**now, "rate": trainer.rate, "validation": trainer.best_loss, **shown})
        if time.monotonic() - saved > SAVE_S:
            trainer.save(folder)
            saved = time.monotonic()
    trainer.save(folder)
    return feed.heads


def _fill(feed: Feed, take: Take) -> None:
    """Take in heads until there is a batch, and further ones that are ready."""
    while not feed.ready:
        fresh = take(True)  # noqa: FBT003 - the callers' protocol
        if fresh is None:
            raise FailedError("no head came for five minutes: is their source still at work?")
        feed.add(fresh)
    if feed.hungry and (more := take(False)) is not None:  # noqa: FBT003
        feed.add(more)


def _end_epoch(trainer: Trainer, heads: list[Example], validate: Validate, folder: Path) -> None:
    """Validate the network as it would be used now."""
    candidate = trainer.finished(heads)
    loss = validate(candidate) if trainer.ranks.first else 0.0
    folder.mkdir(parents=True, exist_ok=True)
    trainer.epoch(candidate, trainer.ranks.of_first(loss), folder)


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors whole or not at all."""
    partial = path.with_suffix(".part")
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, partial)
    partial.replace(path)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose name starts with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
