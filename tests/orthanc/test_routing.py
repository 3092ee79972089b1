"""The plugin's routing against a fake of the ``orthanc`` module; a real one: tests/acceptance."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from orthanc import routing
from orthanc.service import Answer, Service, read_service

NOW = dt.datetime(2026, 3, 1, 12, 0, 0, tzinfo=dt.UTC)


def name(letter: str) -> str:
    """An Orthanc id: five groups of eight hex digits."""
    return "-".join([letter * 8] * 5)


class ChangeType(Enum):
    STABLE_STUDY = 1
    JOB_SUCCESS = 2
    JOB_FAILURE = 3
    ORTHANC_STARTED = 4
    NEW_INSTANCE = 5


class OrthancException(Exception):  # noqa: N818  the name is Orthanc's
    pass


@dataclass
class FakeOrthanc:
    """One study ``s`` of Orthanc, as its REST interface shows it."""

    series: list[dict[str, Any]]
    senders: dict[str, str]
    configuration: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    properties: dict[int, str] = field(default_factory=dict)
    jobs: list[list[str]] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    last_update: str = "20260301T115900"
    is_stable: bool = True
    modality_exists: bool = True
    callback: Callable[[Any, Any, str], None] | None = None
    ChangeType = ChangeType
    OrthancException = OrthancException

    def GetConfiguration(self) -> str:  # noqa: N802
        return json.dumps(self.configuration)

    def GetGlobalProperty(self, key: int, default: str) -> str:  # noqa: N802
        return self.properties.get(key, default)

    def SetGlobalProperty(self, key: int, value: str) -> None:  # noqa: N802
        self.properties[key] = value

    def LogWarning(self, text: str) -> None:  # noqa: N802
        self.log.append(text)

    def RegisterOnChangeCallback(self, callback: Any) -> None:  # noqa: N802
        self.callback = callback

    def RestApiGet(self, path: str) -> bytes:  # noqa: N802
        return self.answer(path).encode()

    def answer(self, path: str) -> str:  # noqa: PLR0911 - a table of addresses
        parts = path.strip("/").split("/")
        instances = [i for one in self.series for i in one["Instances"]]
        if path.startswith("/studies?"):
            study = {"ID": "s", "LastUpdate": self.last_update, "IsStable": self.is_stable}
            return json.dumps([study] if "since=0" in path else [])
        if path == "/studies/s":
            return json.dumps({"MainDicomTags": {"StudyInstanceUID": "1.2.3"}})
        if parts[0] == "series" and int(parts[1]) < len(self.series):
            return json.dumps({**self.series[int(parts[1])], "ParentStudy": "s"})
        if path == "/studies/s/series":
            return json.dumps(self.series)
        if path == "/studies/s/instances":
            uids = [
                {"ID": i, "MainDicomTags": {"SOPInstanceUID": f"1.2.{i[0]}"}} for i in instances
            ]
            return json.dumps(uids)
        if parts[0] == "studies" and "metadata" in parts and parts[1] in self.notes:
            return self.notes[parts[1]]
        if parts[0] == "instances" and parts[1] in instances:
            return self.senders.get(parts[1], "") if "metadata" in parts else "{}"
        raise OrthancException("unknown resource")

    def RestApiPut(self, path: str, body: str) -> None:  # noqa: N802
        self.notes[path.split("/")[2]] = body

    def RestApiPost(self, path: str, body: str) -> bytes:  # noqa: N802
        if not self.modality_exists:
            raise OrthancException("unknown resource")
        asked = json.loads(body)
        self.modalities.append(path.split("/")[2])
        assert path.endswith("/store")
        assert asked["Synchronous"] is False
        self.jobs.append(asked["Resources"])
        return json.dumps({"ID": f"job{len(self.jobs)}"}).encode()


def study_of(*series: tuple[str, str, str]) -> FakeOrthanc:
    """A study of series (modality, letters of the instances, calling AE)."""
    return FakeOrthanc(
        series=[
            {"MainDicomTags": {"Modality": m}, "Instances": [name(i) for i in letters]}
            for m, letters, _ in series
        ],
        senders={name(i): aet for _, letters, aet in series for i in letters},
    )


def router_of(orthanc: FakeOrthanc) -> tuple[routing.Router, list[tuple[float, Any]]]:
    """A router whose pauses are only noted."""
    pauses: list[tuple[float, Any]] = []
    settings, glioloop = routing.read_settings(orthanc), read_service(orthanc)
    return routing.Router(orthanc, settings, glioloop, lambda s, f: pauses.append((s, f))), pauses


def test_mr_and_seg_are_sent_and_other_modalities_are_not() -> None:
    orthanc = study_of(("MR", "ab", "SCANNER"), ("SEG", "c", "VIEWER"), ("SR", "d", "VIEWER"))
    router_of(orthanc)[0].route("s")
    assert orthanc.jobs == [[name("a"), name("b"), name("c")]]


@pytest.mark.parametrize("aet", ["GLIOLOOP", "GLIOLOOP_LEARN"])
def test_what_glioloop_sent_is_not_sent_back(aet: str) -> None:
    orthanc = study_of(("SEG", "a", aet))
    router_of(orthanc)[0].route("s")
    assert orthanc.jobs == []


def test_a_viewers_seg_in_glioloops_own_series_is_sent() -> None:
    orthanc = study_of(("SEG", "ab", "GLIOLOOP"))
    orthanc.senders[name("b")] = ""
    router_of(orthanc)[0].route("s")
    assert orthanc.jobs == [[name("b")]]


def test_what_was_taken_is_sent_once() -> None:
    orthanc = study_of(("MR", "ab", "SCANNER"))
    router, _ = router_of(orthanc)
    router.route("s")
    router.finished("job1", well=True)
    router.route("s")
    assert orthanc.jobs == [[name("a"), name("b")]]
    assert orthanc.notes == {"s": "aaaaaaaa-aaaaaaaa,bbbbbbbb-bbbbbbbb"}


def test_what_is_under_way_is_not_sent_again_beside_it() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    router, _ = router_of(orthanc)
    router.route("s")
    orthanc.series[0]["Instances"].append(name("b"))
    router.route("s")
    assert orthanc.jobs == [[name("a")], [name("b")]]


def test_a_failed_job_is_repeated_with_growing_pauses_until_it_is_taken() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    router, pauses = router_of(orthanc)
    router.route("s")
    router.finished("job1", well=False)
    assert orthanc.notes == {}
    pauses[0][1]()
    router.finished("job2", well=False)
    pauses[1][1]()
    router.finished("job3", well=True)
    assert [seconds for seconds, _ in pauses] == [2.0, 4.0]
    assert orthanc.jobs == [[name("a")]] * 3
    assert orthanc.notes == {"s": "aaaaaaaa-aaaaaaaa"}


def test_a_study_that_waits_for_its_repetition_is_not_sent_beside_it() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    router, pauses = router_of(orthanc)
    router.route("s")
    router.finished("job1", well=False)
    router.route("s")
    assert len(orthanc.jobs) == 1
    assert len(pauses) == 1


def test_a_job_that_cannot_start_is_repeated() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    orthanc.modality_exists = False
    router, pauses = router_of(orthanc)
    router.route("s")
    orthanc.modality_exists = True
    pauses[0][1]()
    assert orthanc.jobs == [[name("a")]]


def test_what_was_deleted_meanwhile_is_not_repeated() -> None:
    orthanc = study_of(("MR", "ab", "SCANNER"))
    router, pauses = router_of(orthanc)
    router.route("s")
    orthanc.series[0]["Instances"].remove(name("a"))
    router.finished("job1", well=False)
    pauses[0][1]()
    assert orthanc.jobs[1] == [name("b")]
    orthanc.series.clear()
    router.finished("job2", well=False)
    assert len(pauses) == 1
    assert router.under_way == {}


def test_other_jobs_of_orthanc_are_left_alone() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    router, pauses = router_of(orthanc)
    router.finished("a stranger's", well=False)
    router.finished("another stranger's", well=True)
    assert (orthanc.notes, pauses) == ({}, [])


def test_a_study_that_was_deleted_before_it_was_routed_is_no_error() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    router_of(orthanc)[0].route("deleted")
    assert orthanc.jobs == []


@pytest.mark.parametrize(("attempt", "seconds"), [(0, 2), (1, 4), (6, 128), (8, 300), (5000, 300)])
def test_pauses_grow_to_five_minutes(attempt: int, seconds: float) -> None:
    assert routing.pause(attempt) == seconds


def test_the_sweep_sends_what_a_restart_lost() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    orthanc.properties[routing.NOTE] = "20260228T000000"
    router_of(orthanc)[0].sweep(NOW)
    assert orthanc.jobs == [[name("a")]]


@pytest.mark.parametrize(
    ("first_start", "last_update", "is_stable"),
    [
        ("", "20260301T115959", True),  # an archive of before the first start
        ("20200101T000000", "20260214T120000", True),  # older than the sweep looks back
        ("20200101T000000", "20260301T115959", False),  # still arriving: it will become stable
    ],
)
def test_the_sweep_leaves_alone(first_start: str, last_update: str, is_stable: bool) -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    orthanc.last_update, orthanc.is_stable = last_update, is_stable
    if first_start:
        orthanc.properties[routing.NOTE] = first_start
    router_of(orthanc)[0].sweep(NOW)
    assert orthanc.jobs == []
    assert orthanc.properties[routing.NOTE] == (first_start or "20260301T120000")


def test_changes_of_orthanc_reach_the_router() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    routing.register(orthanc, Service())
    assert orthanc.callback is not None
    orthanc.callback(ChangeType.NEW_INSTANCE, None, "s")
    assert orthanc.jobs == []
    orthanc.callback(ChangeType.STABLE_STUDY, None, "s")
    orthanc.callback(ChangeType.JOB_SUCCESS, None, "job1")
    assert orthanc.notes == {"s": "aaaaaaaa-aaaaaaaa"}


def test_settings_come_from_orthancs_configuration() -> None:
    orthanc = study_of()
    assert routing.read_settings(orthanc) == routing.Settings(
        "glioloop", "glioloop_learn", ("GLIOLOOP", "GLIOLOOP_LEARN"), 14.0
    )
    orthanc.configuration = {
        "Glioloop": {
            "Modality": "m",
            "LearnModality": "l",
            "OwnAets": ["X"],
            "SweepDays": 3,
        }
    }
    assert routing.read_settings(orthanc) == routing.Settings("m", "l", ("X",), 3.0)


def test_the_service_is_told_what_was_sent(free_port: Callable[[], int]) -> None:
    told: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.path, json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    orthanc = study_of(("MR", "ab", "SCANNER"), ("SEG", "c", "GLIOLOOP"))
    with HTTPServer(("127.0.0.1", free_port()), Handler) as server:
        orthanc.configuration = {
            "Glioloop": {"ServiceUrl": f"http://127.0.0.1:{server.server_port}"}
        }
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        router, _ = router_of(orthanc)
        router.route("s")
        router.finished("job1", well=True)
        thread.join(10)
    assert told == [("/api/v1/studies/1.2.3/instances", {"instances": ["1.2.a", "1.2.b"]})]


def test_a_service_that_cannot_be_told_is_only_logged(free_port: Callable[[], int]) -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    orthanc.configuration = {"Glioloop": {"ServiceUrl": f"http://127.0.0.1:{free_port()}"}}
    router, pauses = router_of(orthanc)
    router.route("s")
    router.finished("job1", well=True)
    assert orthanc.notes == {"s": "aaaaaaaa-aaaaaaaa"}
    assert pauses == []
    assert "was not told" in orthanc.log[-1]


@dataclass
class Told:
    """Glioloop, which notes what it is asked, and answers with the next status."""

    statuses: list[int]
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = "http://127.0.0.1:1"

    def ask(self, path: str, body: bytes | None = None, person: str = "") -> Answer:
        assert body is not None
        self.asked.append((path, person))
        return Answer(self.statuses.pop(0) if self.statuses else 202, b'{"error": "why"}')


def asking(orthanc: FakeOrthanc, *statuses: int) -> tuple[routing.Router, Told, list[Any]]:
    """A router whose service notes what it is asked, and whose pauses are only noted."""
    router, pauses = router_of(orthanc)
    service: Any = Told(list(statuses))
    router.service = service
    return router, service, pauses


def test_what_a_person_asks_for_is_sent_first_and_then_asked_for() -> None:
    orthanc = study_of(("MR", "ab", "SCANNER"))
    router, service, _ = asking(orthanc)
    assert router.ask("s", "reader")
    assert (service.asked, router.sending("s")) == ([], 2)
    router.finished("job1", well=False)
    assert service.asked == []
    router.send(routing.Errand("s", (name("a"), name("b")), "glioloop", 1))
    router.finished("job2", well=True)
    # The list of instances is not posted: that would have it segmented a second time.
    assert service.asked == [("api/v1/studies/1.2.3/segment", "reader")]
    assert router.sending("s") == 0


def test_it_is_asked_for_once_all_parts_of_it_have_come() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    router, service, _ = asking(orthanc)
    router.route("s")
    orthanc.series[0]["Instances"].append(name("b"))
    assert router.ask("s", "reader")
    router.finished("job1", well=True)
    assert [path for path, _ in service.asked] == ["api/v1/studies/1.2.3/instances"]
    router.finished("job2", well=True)
    assert service.asked[1:] == [("api/v1/studies/1.2.3/segment", "reader")]


def test_where_nothing_is_to_be_sent_who_asked_goes_on_alone() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"))
    router, service, _ = asking(orthanc)
    router.route("s")
    router.finished("job1", well=True)
    service.asked.clear()
    assert not router.ask("s", "reader")
    assert (service.asked, router.asked) == ([], {})


def test_a_request_is_repeated_while_the_service_is_down_and_not_when_it_refuses() -> None:
    for status, repeated in ((502, 1), (400, 0)):
        orthanc = study_of(("MR", "a", "SCANNER"))
        router, service, pauses = asking(orthanc, status)
        router.ask("s", "reader")
        router.finished("job1", well=True)
        assert (len(pauses), len(service.asked)) == (repeated, 1)
        assert "did not take a person's request: why" in orthanc.log[-1]
        for _, again in pauses:
            again()
        assert len(service.asked) == 1 + repeated


def test_only_a_persons_seg_is_taught_and_only_to_the_ae_for_that() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"), ("SEG", "bc", "VIEWER"))
    orthanc.senders[name("c")] = "GLIOLOOP"
    router, service, pauses = asking(orthanc)
    assert router.teach("0") == 0
    assert router.teach("1") == 1
    assert (orthanc.jobs, orthanc.modalities) == ([[name("b")]], ["glioloop_learn"])
    router.finished("job1", well=False)
    pauses[0][1]()
    router.finished("job2", well=True)
    assert orthanc.modalities == ["glioloop_learn"] * 2
    # It is no part of what was forwarded by rule.
    assert (orthanc.notes, service.asked) == ({}, [])


def test_what_is_routed_by_rule_never_goes_to_where_a_person_teaches() -> None:
    orthanc = study_of(("MR", "a", "SCANNER"), ("SEG", "b", "VIEWER"))
    router_of(orthanc)[0].route("s")
    assert orthanc.modalities == ["glioloop"]
