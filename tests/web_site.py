"""A site with a web server and without a service: for tests of the interface and its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from glioloop import settings
from glioloop.ledger_schema import ResultRow
from glioloop.site import Site, open_site
from glioloop.web import WebServer, application
from listener.inbox import Received

KEY = "ab" * 32
"""Of a patient."""
IMAGE = Received(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
    sop_instance_uid="1.1.1",
    series_uid="1.1",
    study_uid="1.2",
    modality="MR",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    calling_ae="SCANNER",
    called_ae="GLIOLOOP",
    received_at=1000.0,
    path=Path("a.dcm"),
    sha256="aa",
)


@dataclass
class WebSite:
    """The site, and who asks it."""

    site: Site
    client: httpx.Client
    woken: list[bool] = field(default_factory=list)

    def get(self, path: str) -> Any:
        """JSON of the interface."""
        return self.client.get(f"/api/v1/{path}").raise_for_status().json()


@contextmanager
def open_web(folder: Path, **web: Any) -> Iterator[WebSite]:
    """Open it, with settings of its web interface; one image of study 1.2 came."""
    site = open_site(settings.load(data=folder, web={"port": 0, **web}))
    site.ledger.enter(IMAGE)
    woken: list[bool] = []
    server = WebServer(application(site, lambda: woken.append(True)), site.settings.web)
    port = server.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield WebSite(site, client, woken)
    server.stop()
    site.ledger.close()
    site.models.close()


def result(number: int, study_uid: str = "1.2", created_at: float = 2000.0) -> ResultRow:
    """A result of the patient."""
    return ResultRow(
        result_id=f"{number:032x}",
        study_uid=study_uid,
        patient_key=KEY,
        patient_id_key=None,
        choice="c",
        request=0,
        model="base 1",
        backbone="b",
        head="base",
        sop_instance_uid=f"1.2.{number}",
        series_uid="1.2.9",
        created_at=created_at,
    )
