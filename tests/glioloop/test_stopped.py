"""A service that is stopped with all its processes leaves corrections as they were."""

from __future__ import annotations

from typing import Any

import pytest
from small_world import World, write_study

from glioloop import confinement
from glioloop.inference import StoppedError
from glioloop.ledger_schema import CorrectionState

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def test_a_seg_whose_child_was_told_to_end_is_looked_at_again_and_learnt_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = world.start()
    study = write_study(world.folder / "in")
    world.send(study.every())
    world.until_state(study, "delivered")
    facts, stopped = confinement.facts, [StoppedError("facts was told to end")]

    def once(*given: Any) -> Any:
        if stopped:
            raise stopped.pop()
        return facts(*given)

    monkeypatch.setattr(confinement, "facts", once)
    world.network.failures.append(StoppedError("learn was told to end"))
    world.send([world.correct(study)])
    world.until(lambda: not stopped and not world.network.failures)
    (row,) = service.site.ledger.corrections()
    assert row.state == CorrectionState.LEARNING
    assert world.network.lessons == []
    world.stop()
    again = world.start()
    world.until(lambda: again.site.ledger.corrections()[0].state == CorrectionState.ACCEPTED)
    assert str(again.site.ledger.corrections()[0].head).endswith(".1")  # and no version before it
