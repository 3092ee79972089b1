"""What a Segmentation that arrives corrects, if anything.

Signals, strongest first. The first five suffice wherever a Segmentation arrives; the sixth only
at the address to which a person deliberately sends what shall be learnt.

==  ============================================================================================
0   it bears the SOP Instance UID of something known: an echo, or a conflict
1   (0040,A360) *Predecessor Documents Sequence* names the result, or a correction of it
2   another reference names the result's SOP Instance UID
3   it lies in the result's series
4   a segment has a tracking UID of the result
5   a description holds the result's token, ``Glioloop 1a2b3c4d``
6   same study, frame of reference and grid series, and it came to the learning address
7   the same without that address, and the study has one result only: for a person to confirm
8   nothing, or the same patient alone
==  ============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dicomseg.codes import STYLES
from dicomseg.content import content_digest
from dicomseg.facts import SegFacts, read_facts
from dicomseg.file_grid import stack_of
from dicomseg.identity import TOKEN_LENGTH, is_own_result, tokens_in
from dicomseg.lattice import voxel_map
from study.errors import RefusedError
from study.volume import Geometry


class Kind(StrEnum):
    """What to do with a Segmentation."""

    ECHO = "echo"
    """Known already: nothing to do."""
    CORRECTION = "correction"
    HELD = "held"
    """A person decides."""


@dataclass(frozen=True)
class Recognition:
    """What a Segmentation was taken for, and why."""

    kind: Kind
    result_id: str | None
    signal: int
    reason: str


@dataclass(frozen=True, eq=False)
class KnownResult:
    """A result of Glioloop, as far as recognition needs it; see `known_result`."""

    result_id: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    grid_series_uid: str
    tracking_uids: frozenset[str]
    content: str
    """`content_digest` of its Segmentation."""
    patient: str | None = field(repr=False)
    """Stands for the patient; compared with that of what arrives."""
    created: float
    """Seconds since 1970."""
    geometry: Geometry | None = None
    corrections: Mapping[str, str] = field(default_factory=dict)
    """SOP Instance UID of each correction that is known, and its `content_digest`."""
    correction_series: frozenset[str] = frozenset()
    copies: Mapping[str, str] = field(default_factory=dict)
    """SOP Instance UID of the same outline in another encoding, and its `content_digest`."""
    copy_series: frozenset[str] = frozenset()

    @property
    def objects(self) -> Mapping[str, str]:
        """All that a file may name or be: SOP Instance UID to `content_digest`."""
        return {**self.corrections, **self.copies, self.sop_instance_uid: self.content}

    @property
    def all_series(self) -> frozenset[str]:
        """Series in which a viewer may save a correction."""
        return self.correction_series | self.copy_series | {self.series_uid}


def known_result(
    encoded: Path | bytes,
    *,
    copies: Sequence[Path | bytes] = (),
    result_id: str,
    patient: str | None,
    created: float,
    geometry: Geometry | None = None,
    corrections: Mapping[str, str] | None = None,
    correction_series: frozenset[str] = frozenset(),
) -> KnownResult:
    """What recognition needs of a result, from its own Segmentation file.

    Parameters
    ----------
    encoded
        The file as it was delivered.
    copies
        The same outline as it was delivered in other encodings.
    result_id, patient, created, geometry, corrections, correction_series
        See `KnownResult`.
    """
    facts = read_facts(encoded)
    copied = [(read_facts(copy), content_digest(copy)) for copy in copies]
    return KnownResult(
        result_id=result_id,
        sop_instance_uid=facts.sop_instance_uid,
        series_uid=facts.series_uid,
        study_uid=facts.study_uid,
        frame_of_reference_uid=facts.frame_of_reference_uid,
        grid_series_uid=facts.referenced_series[0] if facts.referenced_series else "",
        tracking_uids=frozenset(s.tracking_uid for s in facts.segments if s.tracking_uid),
        content=content_digest(encoded),
        patient=patient,
        created=created,
        geometry=geometry,
        corrections=corrections or {},
        correction_series=correction_series,
        copies={other.sop_instance_uid: content for other, content in copied},
        copy_series=frozenset(other.series_uid for other, _ in copied),
    )


def recognise(
    facts: SegFacts,
    content: str,
    results: Sequence[KnownResult],
    *,
    patient: str | None,
    at_learn: bool,
    implicit: bool = False,
) -> Recognition:
    """Decide what a Segmentation corrects.

    Parameters
    ----------
    facts
        Its header.
    content
        Its `content_digest`.
    results
        All results that it could be about: those of its study, and any that it names.
    patient
        Stands for its patient, made as `KnownResult.patient` is.
    at_learn
        Whether it came to the address for what shall be learnt.
    implicit
        Accept signal 7 too; for senders that a site vouches for.

    Returns
    -------
    Recognition
        The strongest signal wins. Among several results with that signal it is the latest whose
        grid is that of the file; where there is none, a person decides.
    """
    known = _known_uid(facts, content, results)
    if known is not None:
        return known
    signals = {r.result_id: _signal(facts, r, results, at_learn=at_learn) for r in results}
    strongest = min(signals.values(), default=8)
    named = [r for r in results if signals[r.result_id] == strongest]
    if strongest == 8:
        return _held(8, _why_nothing(facts, results, patient))
    chosen = named[0] if len(named) == 1 else _latest_on_grid(facts, named)
    if chosen is None:
        return _held(
            strongest, f"it may correct any of {len(named)} results, and lies on the grid of none"
        )
    objection = _objection(facts, chosen, patient)
    if strongest == 7 and not implicit:
        objection = "it fits the study's only result, but does not say that it corrects it"
    if objection:
        return _held(strongest, objection, chosen)
    return Recognition(Kind.CORRECTION, chosen.result_id, strongest, REASONS[strongest])


def _objection(facts: SegFacts, result: KnownResult, patient: str | None) -> str:
    """Why a file cannot correct the result that it names; empty where it can."""
    if patient is None:
        return "it has no usable Patient ID: whose it is, nobody can tell"
    if patient != result.patient:
        return "it is another patient's than the result that it names"
    if facts.study_uid != result.study_uid:
        return f"it lies in study {facts.study_uid}, the result that it names in {result.study_uid}"
    return ""


REASONS = {
    1: "it names the result, or a correction of it, as its predecessor",
    2: "it refers to the result",
    3: "it lies in the result's series",
    4: "it has a tracking UID of the result",
    5: "its description names the result",
    6: "it was sent to be learnt, and lies on the result's series",
    7: "it fits the study's only result",
}
"""Why a Segmentation is a correction, by signal."""


def _held(signal: int, reason: str, result: KnownResult | None = None) -> Recognition:
    """Held for a person, with the result it seems to be about."""
    return Recognition(Kind.HELD, result.result_id if result else None, signal, reason)


def _known_uid(facts: SegFacts, content: str, results: Sequence[KnownResult]) -> Recognition | None:
    """Signal 0: an echo of something known, a conflict with it, or a stranger's result."""
    for result in results:
        known = result.objects
        if facts.sop_instance_uid not in known:
            continue
        if known[facts.sop_instance_uid] == content:
            return Recognition(Kind.ECHO, result.result_id, 0, "it is known already")
        return _held(
            0,
            f"it bears SOP Instance UID {facts.sop_instance_uid} of another object that is known, "
            "with other pixels, geometry or segments",
            result,
        )
    if is_own_result(facts.sop_instance_uid, (s.tracking_id for s in facts.segments)):
        return _held(0, "it is a network's result, though not one known here, and no correction")
    return None


def _signal(
    facts: SegFacts, result: KnownResult, results: Sequence[KnownResult], *, at_learn: bool
) -> int:
    """Strongest signal that a file gives for one result; 8 for none."""
    objects = set(result.objects)
    tokens = {token for text in facts.descriptions for token in tokens_in(text)}
    in_place = (
        facts.study_uid == result.study_uid
        and facts.frame_of_reference_uid == result.frame_of_reference_uid
        and result.grid_series_uid in facts.referenced_series
    )
    alone = [r for r in results if r.study_uid == facts.study_uid] == [result]
    ours = {style.label for style in STYLES.values()}
    signs = {
        1: bool(objects & set(facts.predecessors)),
        2: bool(objects & facts.referenced_instances),
        3: facts.series_uid in result.all_series,
        4: bool(result.tracking_uids & {s.tracking_uid for s in facts.segments}),
        5: result.result_id[:TOKEN_LENGTH] in tokens,
        6: at_learn and in_place,
        7: in_place and alone and {s.label for s in facts.segments} <= ours,
    }
    return min((number for number, given in signs.items() if given), default=8)


def _latest_on_grid(facts: SegFacts, results: Sequence[KnownResult]) -> KnownResult | None:
    """The latest result whose voxels are those of the file."""
    fitting = [r for r in results if r.geometry is not None and _on_grid(facts, r.geometry)]
    return max(fitting, key=lambda r: r.created, default=None)


def _on_grid(facts: SegFacts, geometry: Geometry) -> bool:
    """Whether a file's frames lie on the voxels of a grid, in its frame of reference."""
    if facts.frame_of_reference_uid != geometry.frame_of_reference_uid:
        return False
    try:
        stack = stack_of(facts, geometry)
    except RefusedError:
        return False
    return voxel_map(stack.geometry, geometry) is not None


def _why_nothing(facts: SegFacts, results: Sequence[KnownResult], patient: str | None) -> str:
    """Why no result is recognised, as precisely as can be said."""
    same_study = [r for r in results if r.study_uid == facts.study_uid]
    if not same_study:
        same_patient = [r for r in results if patient is not None and r.patient == patient]
        tail = ", though its patient has results" if same_patient else ""
        return f"no result of study {facts.study_uid} is known{tail}"
    frames = {r.frame_of_reference_uid for r in same_study}
    if facts.frame_of_reference_uid not in frames:
        return (
            f"it lies in frame of reference {facts.frame_of_reference_uid or 'without UID'}, "
            f"the study's results in {', '.join(sorted(frames))}"
        )
    if not set(facts.referenced_series) & {r.grid_series_uid for r in same_study}:
        return "it refers to other series than the study's results, and names none of them"
    return "nothing in it says which result it corrects; send it to the learning address"
