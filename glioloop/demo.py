"""``glioloop demo``: the whole loop on this machine, against a real Orthanc."""

from __future__ import annotations

import shutil
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from glioloop.demo_report import Stages, show
from glioloop.phantom import write_patient
from glioloop.private_orthanc import Orthanc, free_port
from glioloop.private_service import Service
from study.errors import RefusedError


def register(app: typer.Typer) -> None:
    """Add ``glioloop demo`` to the command line."""

    @app.command()
    def demo(
        study: Annotated[
            list[Path] | None, typer.Option(help="Folder of DICOM studies of one patient.")
        ] = None,
        truth: Annotated[
            Path | None,
            typer.Option(help="Correction of the first study: folder of masks, or a SEG."),
        ] = None,
        out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("demo-output"),
        *,
        keep: Annotated[
            bool, typer.Option("--keep", help="Leave Orthanc and the service running.")
        ] = False,
    ) -> None:
        """Play the whole loop against a real Orthanc on this machine."""
        run(Console(), study or [], truth, keep=keep, out=out)


def run(
    console: Console, folders: list[Path], truth: Path | None, *, keep: bool, out: Path
) -> None:
    """Start the servers, play, and tell."""
    # Networks and image libraries come with these: other commands need not wait for them.
    from glioloop.demo_day import Demo, play  # noqa: PLC0415
    from glioloop.demo_studies import phantom_studies, read_studies  # noqa: PLC0415

    if truth is not None and not (folders and truth.exists()):
        raise RefusedError("--truth names something that exists, and goes with --study")
    # Ended by `kill` it shall end its servers, as it does with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="glioloop-demo-"))
    with ExitStack() as stack:
        if folders:
            studies = read_studies(folders)
        else:
            console.print("No --study was given: a phantom patient is made by code.")
            studies = phantom_studies(write_patient(work / "phantom"))
        service = Service(work / "service", free_port())
        orthanc = Orthanc(
            work / "orthanc", service.port, service.web_port, dicom_port=service.pacs_port
        )
        stages = Stages(console)
        with stages.stage("Orthanc and the service start"):
            for server in (orthanc, service):
                stack.callback(server.stop)
                server.start()
        console.print(
            f"Orthanc's DICOM port {orthanc.dicom_port} cannot be bound to this machine alone: "
            "it refuses every AE title and host but this demo's."
        )
        demo = Demo(orthanc, service, stages, out)
        lesson = play(demo, studies, truth)
        show(console, demo.outcomes, lesson, stages.seconds)
        if keep:
            stack.pop_all()
            _tell_addresses(console, orthanc, service, work)
            return
    shutil.rmtree(work)


def _tell_addresses(console: Console, orthanc: Orthanc, service: Service, work: Path) -> None:
    """Where what was left running is found, and how it is ended."""
    pids = [str(one.process.pid) for one in (service, orthanc) if one.process is not None]
    console.print(f"Orthanc: {orthanc.url}  user {orthanc.user}, password {orthanc.password}")
    console.print(f"Orthanc's DICOM port: {orthanc.dicom_port}, AE title ORTHANC")
    console.print(f"Glioloop: http://127.0.0.1:{service.web_port}, DICOM port {service.port}")
    console.print(f"Everything lies in {work}. To end both: kill {' '.join(pids)}")
