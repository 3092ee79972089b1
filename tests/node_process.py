"""``glioloop`` as one of several nodes, with a stand-in for the network and little patience.

Run as ``python tests/node_process.py serve --config ... --node ... --lanes ...``.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    from small_world import StandIn

    from glioloop import cli, inference, peers, studies

    peers.GRACE_S, peers.EVERY_S, peers.AWAY_PAUSE_S = 2.0, 0.5, 0.2
    studies.PAUSE_S = studies.AGAIN_S = 0.1
    network = StandIn()

    def slow(task: str, *arguments: object, **named: object) -> dict[str, object]:
        """As `glioloop.inference.run`; it takes so long that one can be killed in it."""
        import time  # noqa: PLC0415

        if task == "segment":
            time.sleep(1.0)
        return network.run(task, *arguments, **named)  # type: ignore[arg-type]

    inference.run = slow  # type: ignore[assignment]
    cli.main()
