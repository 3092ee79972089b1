"""The published way to adapt: the last layer alone, Adam at the rate of training, fixed steps.

No prior holds it and nothing chooses when to stop. It is there to be compared with
(`FitSettings.method`), and passes the same gate.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.fitting import Floats, Problem

RATE = 1e-3
"""Of training, as published (`engine.plan.PUBLISHED`)."""
STEPS = 200
"""Over all kept voxels each."""


def descend(problem: Problem, steps: int = STEPS, rate: float = RATE) -> Floats:
    """Steps of Adam (Kingma and Ba 2015, arXiv:1412.6980) from the base head.

    Parameters
    ----------
    problem
        From `engine.fitting.build`; its prior is not used.
    steps, rate
        How many, and how large.

    Returns
    -------
    numpy.ndarray
        ``(K, P)`` step from the base head in scaled units, as `engine.fitting.solve` returns; the
        same for the same problem.
    """
    rows = problem.rows("head")
    # The head's own parameters, not the scaled ones: Adam's steps are of a size in their units.
    inputs = torch.from_numpy(problem.scaled[rows] * problem.scale[rows, None])
    base, target = torch.from_numpy(problem.base_logits), torch.from_numpy(problem.target)
    weight = torch.from_numpy(problem.weight)
    moved = torch.zeros(len(base), len(rows), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([moved], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        log_p = torch.log_softmax(base + moved @ inputs, dim=0)
        loss = -(weight * (target * log_p).sum(dim=0)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    step = np.zeros(problem.precision.shape)
    step[:, rows] = moved.detach().numpy() * problem.scale[rows]
    return step
