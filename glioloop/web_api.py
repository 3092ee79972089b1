"""The HTTP interface of what a person looks at and decides: JSON for the page, and for programs.

=========================================  ========================================================
``GET /api/v1/work``                       what runs, what waits for a person, the latest studies
``GET /api/v1/studies/{uid}``              where one study is
``GET /api/v1/studies/{uid}/evidence``     which of its series is which, and why
``GET /api/v1/corrections/{uid}``          a SEG with its segments, and what it may correct
``GET /api/v1/patients``                   patients and groups, by their keys
``GET /api/v1/patients/{who}``             one, with models and volumes over time
``GET /api/v1/patients/{who}/chart.svg``   those volumes as curves
``POST /api/v1/patients/{who}/{decision}`` use, rollback or forget
=========================================  ========================================================

What is decided about studies and corrections: `glioloop.web`, `glioloop.web_decisions`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from glioloop import correction_view, model_choices, patient_view, study_view
from glioloop.models import PatientModels
from glioloop.site import Site
from glioloop.web_input import body_of, check_uid, person_of
from study.errors import RefusedError


def routes(site: Site, wake: Callable[[], None]) -> list[Route]:
    """Addresses of the interface.

    Parameters
    ----------
    site
        What it shows.
    wake
        Called when something was changed that the service should look at.
    """

    async def work(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(study_view.work, site, time.time()))

    async def study(request: Request) -> Response:
        uid = _uid(request)
        return JSONResponse(await run_in_threadpool(study_view.study, site, uid, time.time()))

    async def evidence(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(study_view.evidence, site, _uid(request)))

    async def correction(request: Request) -> Response:
        found = await run_in_threadpool(correction_view.correction, site, _uid(request))
        return JSONResponse(found)

    async def patients(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(patient_view.patients, site))

    async def patient(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(_patient, site, request))

    async def chart(request: Request) -> Response:
        drawn = await run_in_threadpool(_chart, site, request)
        return Response(drawn, media_type="image/svg+xml")

    async def decide(request: Request) -> Response:
        body, by = await body_of(request), person_of(request)
        done = await run_in_threadpool(_decide, site, request, body, by)
        wake()
        return JSONResponse(done)

    return [
        Route("/api/v1/work", work),
        Route("/api/v1/studies/{uid}", study),
        Route("/api/v1/studies/{uid}/evidence", evidence),
        Route("/api/v1/corrections/{uid}", correction),
        Route("/api/v1/patients", patients),
        Route("/api/v1/patients/{who}", patient),
        Route("/api/v1/patients/{who}/chart.svg", chart),
        Route("/api/v1/patients/{who}/{decision}", decide, methods=["POST"]),
    ]


def _uid(request: Request) -> str:
    """The UID of an address."""
    uid = str(request.path_params["uid"])
    check_uid(uid)
    return uid


def _whose(site: Site, request: Request) -> PatientModels:
    """The patient or group of an address."""
    found = model_choices.whose(site, str(request.path_params["who"]))
    if found is None:
        raise RefusedError("nobody is known by that: give a patient's whole key, or a group's name")
    return found


def _patient(site: Site, request: Request) -> dict[str, Any]:
    """One patient."""
    return patient_view.patient(site, _whose(site, request))


def _chart(site: Site, request: Request) -> str:
    """One patient's curves."""
    return patient_view.chart(site, _whose(site, request))


def _decide(site: Site, request: Request, body: Any, by: str) -> dict[str, Any]:
    """What a person decides about models."""
    wanted = str(request.path_params["decision"])
    return patient_view.decide(site, _whose(site, request), wanted, body, by)
