"""Tests of `engine.ranks`: two processes on the loopback interface that train one network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.ranks import ALONE, Ranks
from study.errors import RefusedError

CHECKOUT = Path(__file__).parents[2]

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from engine.crops import Example
from engine.network import NetworkConfig
from engine.plan import Plan
from engine.ranks import Ranks, joined
from engine.train import Trainer, train
from glioloop.settings import launched

launch = launched()
out = Path(sys.argv[1]) / str(launch.rank)
rng = np.random.default_rng(launch.rank)
labels = rng.integers(0, 4, (8, 8, 8)).astype(np.uint8)
images = rng.normal(size=(3, 8, 8, 8)).astype(np.float16)
head = Example(images, labels, np.ones(labels.shape, bool))
plan = Plan(steps=3, crops=1, edge=8, ring=1, epoch=1, schedule="plateau", averaging=0.5)
asked = []

def validate(network):
    asked.append(launch.rank)
    return 1.0 / len(asked)

ranks = Ranks(launch.rank, launch.world, launch.local)
with joined(ranks, launch.address, launch.port):
    trainer = Trainer(NetworkConfig(filters=(2, 4)), plan, ranks.device, 1, ranks=ranks)
    train(trainer, lambda _wait: head, minutes=2.0, folder=out, report=print, validate=validate)
    stop = ranks.any(holds=launch.rank == 1)
sums = [float(p.detach().double().abs().sum()) for p in trainer.network.parameters()]
sums += [float(p.detach().double().abs().sum()) for p in trainer.averaged.parameters()]
files = sorted(path.name for path in out.iterdir()) if out.exists() else []
found = {"sums": sums, "files": files, "asked": len(asked), "stop": stop}
sys.stdout.write(json.dumps({**found, "best": trainer.best_loss, "steps": trainer.steps_done}))
"""


def test_two_processes_end_with_the_same_weights_and_the_first_one_writes(tmp_path, free_port):
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)],
            env={**os.environ, **where, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    answers = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    first, second = (json.loads(out) for out, _err in answers)
    assert first["sums"] == second["sums"]
    assert first["files"] == ["best.safetensors", "progress.json", "state.safetensors"]
    assert second["files"] == []
    assert (first["asked"], second["asked"]) == (3, 0)
    assert first["best"] == second["best"] == pytest.approx(1 / 3)
    assert first["steps"] == second["steps"] == 3
    assert first["stop"] is second["stop"] is True


def test_a_single_process_agrees_with_itself():
    assert ALONE.first
    assert ALONE.any(holds=True) is True
    assert ALONE.any(holds=False) is False
    assert ALONE.of_first(0.25) == 0.25
    ALONE.wait()


def test_a_rank_beyond_the_processes_is_refused():
    with pytest.raises(RefusedError, match="rank 2 of 2 processes does not exist"):
        Ranks(2, 2)
