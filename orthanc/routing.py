"""What Orthanc does for Glioloop: it forwards stable studies, and never Glioloop's own results.

Runs inside Orthanc's Python plugin with the standard library alone. The ``orthanc`` module is
passed in, so that a test can pass a fake. `plugin.py` beside this file is what Orthanc loads.

A study's MR and SEG instances go to the modality of the settings when the study is stable. An
instance is forwarded when it did not come from Glioloop: its metadata ``RemoteAET``, the calling
AE title it arrived under, tells. What Glioloop has taken is noted in a metadata of the study;
the note is written after the job succeeded, so an interruption means a harmless repetition.

What a rule sends goes to ``GLIOLOOP``. Only what a person teaches goes to ``GLIOLOOP_LEARN``.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orthanc.service import Service

NOTE = 4242
"""Number of the study metadata (and global property) that belongs to this plugin.

Orthanc leaves numbers from 1024 on to its users.
"""

ID_LENGTH = 17
"""Characters kept of an Orthanc id: 64 of its 160 bits, enough inside one study."""

FORWARDED = ("MR", "SEG")
"""(0008,0060) *Modality* of what is forwarded."""

PAGE = 100
"""Studies asked for at a time in the sweep."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 300.0

FIRST_OF_SERVER = 500
"""HTTP status from which on it is the service that failed, and not what it was asked."""


@dataclass(frozen=True)
class Settings:
    """The section ``Glioloop`` of Orthanc's configuration."""

    modality: str = "glioloop"
    """Name in ``DicomModalities`` of the AE that takes images and corrections."""
    learn_modality: str = "glioloop_learn"
    """Name in ``DicomModalities`` of the AE that takes what a person teaches."""
    own_aets: tuple[str, ...] = ("GLIOLOOP", "GLIOLOOP_LEARN")
    """Calling AE titles of Glioloop: what arrived under one of them is not sent back."""
    sweep_days: float = 14.0
    """Only studies that changed in the last so many days are looked at after a start."""


def read_settings(orthanc: Any) -> Settings:
    """Settings from Orthanc's configuration; what is not there has its default."""
    section = json.loads(orthanc.GetConfiguration()).get("Glioloop", {})
    known = Settings()
    return Settings(
        modality=section.get("Modality", known.modality),
        learn_modality=section.get("LearnModality", known.learn_modality),
        own_aets=tuple(section.get("OwnAets", known.own_aets)),
        sweep_days=float(section.get("SweepDays", known.sweep_days)),
    )


def pause(attempt: int) -> float:
    """Seconds to wait before the n-th repetition: 2, 4, 8 ... 300."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt, 10))


@dataclass(frozen=True)
class Errand:
    """Instances of one study on their way, whereto, and how often that failed."""

    study: str
    instances: tuple[str, ...]
    modality: str
    attempt: int = 0


@dataclass
class Router:
    """Forwards what a study has that Glioloop lacks. An instance is under way at most once."""

    orthanc: Any
    settings: Settings
    service: Service
    later: Callable[[float, Callable[[], None]], None]
    """Runs a function after some seconds, in another thread."""
    jobs: dict[str, Errand] = field(default_factory=dict)
    under_way: dict[str, str] = field(default_factory=dict)
    """Instance to its study."""
    asked: dict[str, str] = field(default_factory=dict)
    """Study that a person wants segmented as soon as all of it is there, to that person."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def route(self, study: str) -> None:
        """Start forwarding what is new in a study."""
        with self.lock:
            taken = read_note(self.orthanc, study)
            try:
                found = candidates(self.orthanc, study, self.settings.own_aets, taken)
                new = tuple(instance for instance in found if instance not in self.under_way)
            except self.orthanc.OrthancException:
                return  # the study was deleted meanwhile
            if not new:
                return
            self.under_way.update(dict.fromkeys(new, study))
            self.send(Errand(study, new, self.settings.modality))

    def ask(self, study: str, person: str) -> bool:
        """A person wants a study: send what is not there, and say whether that is to be waited for.

        Once all of it is there, the service is asked to segment it; at once where nothing is to be
        sent, which is then the caller's part.
        """
        with self.lock:
            self.route(study)
            if not self.sending(study):
                return False
            self.asked[study] = person
            return True

    def sending(self, study: str) -> int:
        """How many instances of a study are under way, or wait to be sent again."""
        with self.lock:
            return sum(one == study for one in self.under_way.values())

    def teach(self, series: str) -> int:
        """Send a person's SEGs of a series to be learnt from; how many there are."""
        found = get(self.orthanc, f"/series/{series}")
        if found["MainDicomTags"].get("Modality") != "SEG":
            return 0
        own = self.settings.own_aets
        segs = tuple(i for i in found["Instances"] if sender(self.orthanc, i) not in own)
        if segs:
            self.send(Errand(found["ParentStudy"], segs, self.settings.learn_modality))
        return len(segs)

    def send(self, errand: Errand) -> None:
        """Start a job in Orthanc; what cannot even start is repeated like what failed."""
        body = {"Resources": list(errand.instances), "Synchronous": False}
        path = f"/modalities/{errand.modality}/store"
        with self.lock:  # so that the job's end cannot overtake the note of its start
            try:
                job = json.loads(self.orthanc.RestApiPost(path, json.dumps(body)))["ID"]
            except self.orthanc.OrthancException as error:
                self.orthanc.LogWarning(f"Glioloop: a job could not start: {error}")
                self.repeat(errand)
            else:
                self.jobs[job] = errand

    def finished(self, job: str, *, well: bool) -> None:
        """Note what was taken, or try again later; jobs of others are left alone."""
        with self.lock:
            errand = self.jobs.pop(job, None)
            if errand is None:
                return
            if not well:
                self.repeat(errand)
                return
            count = len(errand.instances)
            if errand.modality != self.settings.modality:
                self.orthanc.LogWarning(f"Glioloop learns from {count} SEGs of {errand.study}")
                return
            taken = read_note(self.orthanc, errand.study)
            taken |= {instance[:ID_LENGTH] for instance in errand.instances}
            self.arrived(errand.instances)
            person = None
            if not self.sending(errand.study):
                person = self.asked.pop(errand.study, None)
            try:
                write_note(self.orthanc, errand.study, taken)
            except self.orthanc.OrthancException:
                return  # the study was deleted meanwhile
        self.orthanc.LogWarning(f"Glioloop took {count} instances of study {errand.study}")
        if not self.service.url:
            return
        if person is None:
            tell(self.orthanc, self.service, errand.study, taken)
        else:
            self.request(errand.study, person)

    def arrived(self, instances: Iterable[str]) -> None:
        """Instances are no longer under way."""
        for instance in instances:
            self.under_way.pop(instance, None)

    def request(self, study: str, person: str, attempt: int = 0) -> None:
        """Have a study segmented that is there now; asked again while the service is down."""
        try:
            uid = study_uid(self.orthanc, study)
        except self.orthanc.OrthancException:
            return  # the study was deleted meanwhile
        answer = self.service.ask(f"api/v1/studies/{uid}/segment", b"{}", person)
        if answer.is_well:
            return
        self.orthanc.LogWarning(f"Glioloop did not take a person's request: {answer.sentence}")
        if answer.status >= FIRST_OF_SERVER:
            self.later(pause(attempt), lambda: self.request(study, person, attempt + 1))

    def repeat(self, errand: Errand) -> None:
        """Send what still exists of an errand again after a pause that grows."""
        kept = tuple(i for i in errand.instances if exists(self.orthanc, i))
        self.arrived(set(errand.instances) - set(kept))
        if not kept:
            return
        seconds = pause(errand.attempt)
        again = Errand(errand.study, kept, errand.modality, errand.attempt + 1)
        self.orthanc.LogWarning(
            f"Glioloop did not take {len(kept)} instances of study {errand.study}; "
            f"attempt {again.attempt + 1} follows in {seconds:.0f} s"
        )
        self.later(seconds, lambda: self.send(again))

    def sweep(self, now: dt.datetime) -> None:
        """Route what became stable while nobody looked: Orthanc loses that event in a restart.

        Studies from before the plugin's first start are left alone: installing it on an archive
        must not send the archive.
        """
        first = self.orthanc.GetGlobalProperty(NOTE, "")
        if not first:
            first = stamp(now)
            self.orthanc.SetGlobalProperty(NOTE, first)
        since = max(first, stamp(now - dt.timedelta(days=self.settings.sweep_days)))
        for study in studies(self.orthanc):
            if study["LastUpdate"] >= since and study["IsStable"]:
                self.route(study["ID"])


def stamp(moment: dt.datetime) -> str:
    """A moment as Orthanc writes it, ``20260131T235959`` in UTC: these sort as text."""
    return moment.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%S")


def get(orthanc: Any, path: str) -> Any:
    """A JSON answer of Orthanc's own REST interface."""
    return json.loads(orthanc.RestApiGet(path))


def studies(orthanc: Any) -> Iterator[dict[str, Any]]:
    """Every study, some at a time."""
    since = 0
    while page := get(orthanc, f"/studies?expand&since={since}&limit={PAGE}"):
        yield from page
        since += len(page)


def candidates(
    orthanc: Any, study: str, own_aets: tuple[str, ...], taken: set[str]
) -> Iterator[str]:
    """Instances of a study that Glioloop should have and was not known to have taken."""
    for series in get(orthanc, f"/studies/{study}/series"):
        if series["MainDicomTags"].get("Modality") in FORWARDED:
            for instance in series["Instances"]:
                # A viewer may add its SEG to Glioloop's series: each instance is asked.
                if instance[:ID_LENGTH] not in taken and sender(orthanc, instance) not in own_aets:
                    yield instance


def sender(orthanc: Any, instance: str) -> str:
    """Calling AE title under which an instance arrived; empty when it came by HTTP."""
    return metadata(orthanc, f"/instances/{instance}/metadata/RemoteAET")


def exists(orthanc: Any, instance: str) -> bool:
    """Whether Orthanc still has an instance."""
    return metadata(orthanc, f"/instances/{instance}") != ""


def metadata(orthanc: Any, path: str) -> str:
    """The text at a path; empty when there is none."""
    try:
        text: bytes = orthanc.RestApiGet(path)
    except orthanc.OrthancException:
        return ""
    return text.decode()


def read_note(orthanc: Any, study: str) -> set[str]:
    """Shortened ids of the instances that Glioloop has taken."""
    return set(filter(None, metadata(orthanc, f"/studies/{study}/metadata/{NOTE}").split(",")))


def write_note(orthanc: Any, study: str, taken: set[str]) -> None:
    """Replace the note of a study."""
    orthanc.RestApiPut(f"/studies/{study}/metadata/{NOTE}", ",".join(sorted(taken)))


def study_uid(orthanc: Any, study: str) -> str:
    """(0020,000D) *Study Instance UID* of a study."""
    return str(get(orthanc, f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"])


def tell(orthanc: Any, service: Service, study: str, taken: set[str]) -> None:
    """Post the SOP Instance UIDs of all that was sent of a study: it may be complete now.

    That only saves waiting for the study to be quiet, so a failure is logged and not repeated.
    """
    uid = study_uid(orthanc, study)
    sent = [
        instance["MainDicomTags"]["SOPInstanceUID"]
        for instance in get(orthanc, f"/studies/{study}/instances")
        if instance["ID"][:ID_LENGTH] in taken
    ]
    body = json.dumps({"instances": sent}).encode()
    answer = service.ask(f"api/v1/studies/{uid}/instances", body)
    if not answer.is_well:
        orthanc.LogWarning(f"Glioloop was not told what was sent: {answer.sentence}")


def in_a_thread(seconds: float, work: Callable[[], None]) -> None:
    """Run something later without keeping Orthanc from stopping."""
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


def register(orthanc: Any, service: Service) -> Router:
    """Listen to Orthanc's changes from now on."""
    router = Router(orthanc, read_settings(orthanc), service, in_a_thread)
    kinds = orthanc.ChangeType

    def on_change(change: Any, _level: Any, resource: str) -> None:
        if change == kinds.STABLE_STUDY:
            router.route(resource)
        elif change == kinds.JOB_SUCCESS:
            router.finished(resource, well=True)
        elif change == kinds.JOB_FAILURE:
            router.finished(resource, well=False)
        elif change == kinds.ORTHANC_STARTED:
            router.sweep(dt.datetime.now(dt.UTC))

    orthanc.RegisterOnChangeCallback(on_change)
    return router
