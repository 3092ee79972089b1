"""``glioloop`` that stands still at the point that the file ``pause`` beside this one names.

Tests copy this script into a folder of their own and run it instead of ``python -m glioloop``, to
kill the service at that point. Inference runs in a spawned child, which imports the script again:
so the pauses are set on import.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def pausing(point: str, function: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """The function, with a pause before or after it."""

    def paused(*arguments: Any, **named: Any) -> Any:
        if after:
            answer = function(*arguments, **named)
            pause(point)
            return answer
        pause(point)
        return function(*arguments, **named)

    return paused


def pause(point: str) -> None:
    """Say that the point was reached, and wait to be killed."""
    wanted = FOLDER / "pause"
    if wanted.exists() and wanted.read_text() == point:
        (FOLDER / "reached").touch()
        while wanted.exists():
            time.sleep(0.05)


def set_pauses_of_the_child() -> None:
    """Replace the seams of what runs in a child; the service itself never imports these."""
    from glioloop import objects, pipeline  # noqa: PLC0415

    pipeline.run_network = pausing("inference", pipeline.run_network, after=False)
    objects.encode_seg = pausing("encoding", objects.encode_seg, after=False)


if __name__ == "__main__":
    from glioloop.cli import main
    from listener import scu

    scu.store = pausing("stored", scu.store, after=True)
    main()
else:
    set_pauses_of_the_child()
