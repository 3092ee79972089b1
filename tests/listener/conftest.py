"""A running listener."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from listener.happenings import Happening, unheard
from listener.inbox import Inbox, Received
from listener.scp import Scp, ScpConfig, start


@dataclass
class Running:
    """A listener on a free port of the loopback, and what it has entered in its ledger."""

    scp: Scp
    inbox: Inbox
    ledger: list[Received] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.scp.port


Listen = Callable[..., Running]


@pytest.fixture(scope="module")
def stop_later() -> Iterator[Callable[[Callable[[], None]], None]]:
    """A function that takes note of what to call at the end of the module.

    Each stop waits half a second for a thread of pynetdicom, so they all wait together.
    """
    stops: list[Callable[[], None]] = []
    yield stops.append
    if stops:
        with ThreadPoolExecutor(len(stops)) as pool:
            for done in [pool.submit(stop) for stop in stops]:
                done.result()
    # pynetdicom drops a socket without closing it when the peer has hung up before.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def listen(tmp_path: Path, stop_later: Callable[[Callable[[], None]], None]) -> Listen:
    """A function that starts a listener with the given settings on a free port."""

    def begin(
        on_received: Callable[[Received], None] | None = None,
        is_full: Callable[[], bool] = lambda: False,
        min_free_bytes: int = 0,
        tell: Callable[[Happening], None] = unheard,
        **settings: object,
    ) -> Running:
        ledger: list[Received] = []
        inbox = Inbox(tmp_path / "inbox", min_free_bytes)
        config = ScpConfig(host="127.0.0.1", port=0, **settings)  # type: ignore[arg-type]
        scp = start(config, inbox, on_received or ledger.append, is_full, tell)
        stop_later(scp.stop)
        return Running(scp, inbox, ledger)

    return begin
