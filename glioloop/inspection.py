"""``glioloop check``: is everything there that the service needs?"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glioloop import dicomweb, listening, peers
from glioloop.settings import Settings
from glioloop.settings_dicomweb import DicomwebDestination
from glioloop.settings_network import Destination
from listener import dicomweb as dicomweb_client
from listener import scu
from listener.tls import server_context
from study.errors import FailedError, GlioloopError

MOST_AHEAD_S = 2.0
"""How far the clocks of nodes that share the work may be apart (s)."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    detail: str

    def as_row(self) -> dict[str, Any]:
        """For a table."""
        return {"what": self.what, "state": "ok" if self.fine else "WRONG", "detail": self.detail}


def inspect(settings: Settings) -> list[Finding]:
    """Look at disk, weights, processor, ports and destinations."""
    return list(_inspect(settings))


def _inspect(settings: Settings) -> Iterator[Finding]:
    """One finding after another."""
    yield _tried("disk", partial(_disk, settings))
    for name in ("base", "brain"):
        yield _tried(f"weights {name}", partial(_weights, settings, name))
    yield _tried("processor", partial(_processor, settings))
    yield _port("DICOM port", settings.listener.host, settings.listener.port)
    if settings.listener.tls is not None:
        yield _tried("DICOM TLS", partial(_tls, settings))
    yield _port("web port", settings.web.host, settings.web.port)
    if settings.shared:
        yield _tried("database", partial(_database, settings))
    for destination in settings.destinations:
        yield _tried(f"destination {destination.name}", partial(_echo, settings, destination))
    for web in settings.dicomweb.destinations:
        yield _tried(f"destination {web.name}", partial(_dicomweb, web))


def _tried(what: str, look: Callable[[], str]) -> Finding:
    """A finding, or why there is none."""
    try:
        return Finding(what, fine=True, detail=look())
    except (GlioloopError, OSError) as error:
        return Finding(what, fine=False, detail=str(error))


def _disk(settings: Settings) -> str:
    """Whether the data folder can be written, and how much is free."""
    settings.data.mkdir(parents=True, exist_ok=True)
    probe = settings.data / ".check"
    probe.write_bytes(b"")
    probe.unlink()
    free = shutil.disk_usage(settings.data).free / 2**30
    if free < settings.listener.min_free_gib:
        raise OSError(f"{free:.1f} GiB free, {settings.listener.min_free_gib:g} must stay free")
    return f"{free:.1f} GiB free"


def _database(settings: Settings) -> str:
    """Whether the database that nodes share answers, and its clock is near that of this machine."""
    ahead = peers.clock_ahead_s(settings.database)
    if abs(ahead) > MOST_AHEAD_S:
        raise FailedError(
            f"this machine's clock is {ahead:+.1f} s off the database's, and quiet time is measured"
            f" by both: at most {MOST_AHEAD_S:g} s may be between them; look at NTP on both"
        )
    return f"answers; the clocks are {abs(ahead):.1f} s apart"


def _weights(settings: Settings, name: str) -> str:
    """Whether a network is there, and what its manifest says."""
    from engine.weights import load, shipped  # noqa: PLC0415 - torch comes with it

    folder = settings.inference.model_folder
    at: Path = folder / name if folder else shipped("base" if name == "base" else "brain")
    manifest = load(at).manifest
    return f"{manifest.name} {manifest.version}, backbone {manifest.backbone_sha256[:12]}"


def _processor(settings: Settings) -> str:
    """What the network will run on."""
    from engine.runtime import compile_backbone  # noqa: PLC0415 - and with it
    from engine.weights import load, shipped  # noqa: PLC0415 - torch comes with it

    folder = settings.inference.model_folder
    model = load(folder / "base" if folder else shipped("base"))
    run = compile_backbone(model, settings.inference.device, threads=settings.inference.threads)
    return f"{run.device}, {run.precision}, {run.threads} threads"


def _port(what: str, host: str, port: int) -> Finding:
    """Whether a port is free; one in use may well be the running service."""
    if port == 0:
        return Finding(what, fine=True, detail="any free one")
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        return Finding(
            what, fine=True, detail=f"{port} is in use: by the service? ({error.strerror})"
        )
    return Finding(what, fine=True, detail=f"{port} is free")


def _tls(settings: Settings) -> str:
    """Whether the TLS files can be used."""
    files = listening.config(settings).tls
    if files is None:
        return "none"
    server_context(files)
    return f"{files.certificate} with its key"


def _echo(settings: Settings, at: Destination) -> str:
    """Whether a destination answers a C-ECHO."""
    scu.echo(listening.peer(at, settings))
    return f"{at.ae_title} at {at.host}:{at.port} answers"


def _dicomweb(at: DicomwebDestination) -> str:
    """Whether a destination answers by DICOMweb."""
    dicomweb_client.verify(dicomweb.server(at))
    return f"{at.url} answers"
