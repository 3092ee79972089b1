"""Several processes that train one network: who is who, and what they agree on.

Each works on its own heads; gradients are averaged by PyTorch's DistributedDataParallel, over NCCL
between GPUs and gloo between CPUs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from study.errors import RefusedError

PATIENCE = timedelta(hours=6)
"""How long processes wait for one another: preparing cases, or scoring them, takes a while."""


@dataclass(frozen=True)
class Ranks:
    """Which of several processes this is.

    Parameters
    ----------
    rank
        Of this process among all, from 0.
    world
        Number of processes.
    local
        Of this process among those of its machine, from 0; the number of its GPU.

    Raises
    ------
    RefusedError
        If the rank is not below the number of processes.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise RefusedError(f"rank {self.rank} of {self.world} processes does not exist")

    @property
    def first(self) -> bool:
        """Whether this is the one process that writes and reports."""
        return self.rank == 0

    @property
    def device(self) -> str:
        """Where this process computes."""
        if not torch.cuda.is_available():
            return "cpu"
        return f"cuda:{self.local}" if self.world > 1 else "cuda"

    def shared(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes."""
        if self.world == 1:
            return network
        own = [self.local] if torch.cuda.is_available() else None
        return DistributedDataParallel(network, device_ids=own)

    def any(self, *, holds: bool) -> bool:
        """Whether something holds in any process; all of them ask at the same time."""
        if self.world == 1:
            return holds
        return bool(self._reduced(float(holds), distributed.ReduceOp.MAX) > 0.0)

    def of_first(self, value: float) -> float:
        """The first process's value, in all of them."""
        if self.world == 1:
            return value
        return float(self._reduced(value if self.first else 0.0, distributed.ReduceOp.SUM))

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.world > 1:
            self._reduced(0.0, distributed.ReduceOp.SUM)

    def _reduced(self, value: float, how: distributed.ReduceOp.RedOpType) -> Tensor:
        """Reduce a number over all processes."""
        number = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(number, how)
        return number


ALONE = Ranks()
"""The only process."""


@contextmanager
def joined(ranks: Ranks, address: str, port: int) -> Iterator[Ranks]:
    """Join the other processes, and leave them at the end.

    Parameters
    ----------
    ranks
        Who this is; with a single process nothing is joined.
    address, port
        Where the first process listens.
    """
    if ranks.world == 1:
        yield ranks
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.local)
    distributed.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        init_method=f"tcp://{address}:{port}",
        timeout=PATIENCE,
        world_size=ranks.world,
        rank=ranks.rank,
    )
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()
