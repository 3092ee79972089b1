"""``glioloop serve``, ``work``, ``check``, ``segment``, ``learn`` and ``version``."""

from __future__ import annotations

import logging
import os
import signal
import threading
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from glioloop import label_map
from glioloop import settings as configuration
from glioloop.mode_names import ModeName
from glioloop.terminal import ConfigOption, JsonOption, out, show, show_json
from study.errors import FailedError

NodeOption = Annotated[
    str | None, typer.Option(help="Name of this process, that no other has.", show_default=False)
]
LanesOption = Annotated[
    str, typer.Option(help="Jobs that are done here: infer, adapt, deliver; or none.")
]
PathArgument = Annotated[Path, typer.Argument(help="DICOM files, or a folder of them.")]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    for command in (serve, work, check, segment, learn, version):
        parent.command()(command)


def serve(
    config: ConfigOption = None, node: NodeOption = None, lanes: LanesOption = "infer,adapt,deliver"
) -> None:
    """Run the service: listener, workers and web page, until it is told to end."""
    from glioloop.service import Service  # noqa: PLC0415 - other commands need not wait for it

    service = Service(_settings_of_node(config, node))
    ending = _ending()
    service.start(_lanes(lanes))
    ending.wait()
    service.stop_listening()
    _end()


def work(
    config: ConfigOption = None, node: NodeOption = None, lanes: LanesOption = "infer,adapt,deliver"
) -> None:
    """Do jobs beside a service that runs here or on another machine, until it is told to end."""
    from glioloop.work import start  # noqa: PLC0415 - other commands need not wait for it

    settings = _settings_of_node(config, node)
    ending = _ending()
    start(settings, _lanes(lanes))
    ending.wait()
    _end()


def _settings_of_node(config: Path | None, node: str | None) -> configuration.Settings:
    """Settings of a process that runs until it is told to end, and its log."""
    given = {} if node is None else {"node": node}
    settings = configuration.load(config, **given)
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    return settings


def _lanes(text: str) -> tuple[str, ...]:
    """Lanes that a person named, separated by commas; ``none`` is none."""
    return () if text == "none" else tuple(lane.strip() for lane in text.split(","))


def _ending() -> threading.Event:
    """What is set when this process is told to end."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    return ending


def _end() -> None:
    """End; jobs in the middle of a step are left as a crash leaves them: the next start goes on."""
    from glioloop import jobs  # noqa: PLC0415 - other commands need not wait for it

    jobs.leave()
    logging.shutdown()
    os._exit(0)


def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look whether everything is there: disk, weights, ports, destinations, GPU."""
    from glioloop.inspection import inspect  # noqa: PLC0415 - other commands need not wait for it

    found = inspect(configuration.load(config))
    show([finding.as_row() for finding in found], as_json=as_json, title="check")
    if not all(finding.fine for finding in found):
        raise FailedError("not everything is as it should be")


def segment(
    path: PathArgument,
    into: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    base: Annotated[bool, typer.Option("--base", help="Without the patient's model.")] = False,
    mode: Annotated[
        ModeName | None, typer.Option(help="How thorough inference is. [inference.mode]")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Segment one study or several, without a network: SEG, picture and report for each."""
    from glioloop.offline import Offline  # noqa: PLC0415 - other commands need not wait for it

    reports = Offline(configuration.load(config), mode).segment(path, into, base=base)
    if as_json:
        show_json(reports)
        return
    rows = [
        {
            "study": r["study_uid"],
            "head": r["head"],
            **{name: round(volume, 1) for name, volume in r["volumes_ml"].items()},
            "without": r["without"],
            "folder": r["folder"],
        }
        for r in reports
    ]
    show(rows, as_json=False, title="results (mL)")


def learn(
    correction: Annotated[
        Path, typer.Argument(help="The corrected SEG, or a NIfTI mask on the grid of T1gd.")
    ],
    images: Annotated[Path, typer.Option("--images", help="The study that it corrects.")],
    labels: Annotated[
        str | None,
        typer.Option(help="Numbers of a mask: 1=necrosis,2=edema,4=enhancing."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Adapt a patient's model from a correction, without a network."""
    from glioloop.offline import Offline  # noqa: PLC0415 - other commands need not wait for it

    meaning = label_map.numbers(labels)
    report = Offline(configuration.load(config)).learn(correction, images, meaning)
    if as_json:
        show_json(report)
        return
    out.print(report["reason"], markup=False)


def version() -> None:
    """Print the version."""
    out.print(metadata.version("glioloop"), highlight=False)
