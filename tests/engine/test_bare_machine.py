"""The training core needs torch and numpy alone: it runs where nothing else is installed."""

import subprocess
import sys

ABSENT = ("scipy", "nibabel", "openvino", "SimpleITK", "torchio", "monai", "pydicom", "matplotlib")

SCRIPT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import engine.feed
import engine.ranks
import numpy as np
from engine.examples import Recipe, examples
from engine.network import NetworkConfig
from engine.phantom import phantom_map
from engine.train import Plan, Trainer

recipe = Recipe(shape=(48, 56, 48), spacing_mm=(3.5, 3.5), fine_share=0.0, phantoms=0.0)
head = phantom_map(np.random.default_rng(0))
ring = [next(examples([head], recipe, np.random.default_rng(1)))]
plan = Plan(steps=1, crops=2, edge=16)
losses = Trainer(NetworkConfig(filters=(2, 4)), plan, "cpu", seed=1).step(ring)
assert all(np.isfinite(value) for value in losses.values())
print("trained")
"""


def test_a_head_is_generated_and_a_step_taken_on_torch_and_numpy_alone():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{absent!r}", repr(ABSENT))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "trained", done.stderr
