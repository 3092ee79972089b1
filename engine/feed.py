"""From heads to the batches of training: a ring of heads, or a queue of patches.

A *ring* keeps heads, each for many steps, and takes every batch from several of them: for generated
heads, which are dear. A *queue* takes so many patches of each volume, mixes those of several
volumes, and lays the volume aside: the published way, in which an epoch shows each volume once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from engine.crops import Example, Window, appended, crops, least_edge, stacked, windows
from engine.plan import Plan

LEAST_HEADS = 8
"""Heads in a ring before training begins, where the plan's ring is as large."""

Batch = tuple[torch.Tensor, torch.Tensor]
Take = Callable[[bool], Example | None]
"""``take(wait)`` gives the next head, or None where none is ready and `wait` is false."""


class Feed(Protocol):
    """Where batches come from."""

    heads: list[Example]
    """The last heads that came."""

    @property
    def ready(self) -> bool:
        """Whether there is enough for a batch."""

    @property
    def hungry(self) -> bool:
        """Whether another head is wanted before the next batch."""

    def add(self, example: Example) -> None:
        """Take in a head."""

    def batch(self) -> Batch:
        """Images ``(N, 3, d, h, w)`` float32 and labels ``(N, d, h, w)`` int64."""


class Ring:
    """Heads that are used until newer ones take their place.

    Parameters
    ----------
    plan
        Its `ring`, `renewal`, `crops`, `edge` and `strategy`.
    stride
        Of the network.
    rng
        Source of all randomness.
    """

    def __init__(self, plan: Plan, stride: int, rng: np.random.Generator) -> None:
        self.heads: list[Example] = []
        self._plan, self._stride, self._rng = plan, stride, rng
        self._since = 0

    @property
    def ready(self) -> bool:
        """Whether there are heads enough for a batch."""
        return len(self.heads) >= min(LEAST_HEADS, self._plan.ring)

    @property
    def hungry(self) -> bool:
        """A ring takes whatever is there until it is full, then a head now and then."""
        return len(self.heads) < self._plan.ring or self._since >= self._plan.renewal

    def add(self, example: Example) -> None:
        """Take in a head; the oldest leaves a full ring."""
        self._since = 0
        self.heads = (
            [*self.heads[-self._plan.ring + 1 :], example] if self._plan.ring > 1 else [example]
        )

    def batch(self) -> Batch:
        """Patches of several heads."""
        self._since += 1
        return drawn(self.heads, self._plan, self._stride, self._rng)


class Queue:
    """Patches of several volumes, mixed; each volume gives so many and is laid aside.

    Parameters
    ----------
    plan
        Its `ring` (volumes that are mixed), `per_volume`, `crops`, `edge` and `strategy`.
    stride
        Of the network.
    rng
        Source of all randomness.
    """

    def __init__(self, plan: Plan, stride: int, rng: np.random.Generator) -> None:
        self.heads: list[Example] = []
        self._waiting: list[tuple[Example, Window]] = []
        self._plan, self._stride, self._rng = plan, stride, rng
        self._in_order = plan.strategy == "sequential"
        each = 1 if plan.strategy == "whole" else plan.per_volume
        self._length = plan.crops if self._in_order else max(plan.crops, plan.ring * each)

    @property
    def ready(self) -> bool:
        """Whether a batch is waiting."""
        return len(self._waiting) >= self._plan.crops

    @property
    def hungry(self) -> bool:
        """Whether patches of fewer volumes are waiting than are to be mixed."""
        return len(self._waiting) < self._length

    def add(self, example: Example) -> None:
        """Take the volume's patches."""
        plan = self._plan
        filled = appended(example, least_edge(plan.strategy, plan.edge), plan.outside)
        found = windows(filled, plan.strategy, plan.per_volume, plan.edge, self._rng)
        self._waiting += [(filled, window) for window in found]
        self.heads = [*self.heads[-LEAST_HEADS + 1 :], example]

    def batch(self) -> Batch:
        """Patches of several volumes; those of ``"sequential"`` in their order."""
        count = self._plan.crops
        if not self._in_order:
            self._rng.shuffle(self._waiting)
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return stacked(taken, self._rng, stride=self._stride, outside=self._plan.outside)


def feed_for(plan: Plan, stride: int, rng: np.random.Generator) -> Feed:
    """A queue where the plan says how many patches a volume gives, else a ring."""
    return Queue(plan, stride, rng) if plan.per_volume else Ring(plan, stride, rng)


def mixed(one: Take, other: Take, share: float, rng: np.random.Generator) -> Take:
    """Heads of two sources, so that a share of them, from 0 to 1, comes from the first.

    Whose turn it is stays so until its head is there: the quicker one gets no more than its part.
    """
    turn: list[Take] = []

    def take(wait: bool) -> Example | None:  # noqa: FBT001 - the protocol of heads' sources
        if not turn:
            turn.append(one if rng.random() < share else other)
        head = turn[0](wait)
        if head is not None:
            turn.clear()
        return head

    return take


def validation_batches(heads: Iterable[Example], plan: Plan, stride: int) -> Iterator[Batch]:
    """Patches of heads that are not learnt from: the same each time, laid as the plan says."""
    count = 1 if plan.strategy == "whole" else min(plan.crops, plan.per_volume or LEAST_HEADS)
    same = replace(plan, crops=count)
    for number, head in enumerate(heads):
        yield drawn([head], same, stride, np.random.default_rng(number))


def drawn(heads: list[Example], plan: Plan, stride: int, rng: np.random.Generator) -> Batch:
    """A batch of any patches of some heads, laid as the plan says."""
    return crops(
        heads, plan.crops, plan.edge, rng, plan.strategy, stride=stride, outside=plan.outside
    )
