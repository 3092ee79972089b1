"""Which series of a study the network gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converter.identify import Identification, identify
from converter.rules import Rules
from converter.series import scan
from study.errors import HeldError
from study.tissue import Role


@dataclass(frozen=True, eq=False)
class Looked:
    """What was found in files, and why some of them are no part of it.

    Parameters
    ----------
    found
        Which series is which.
    refused
        A reason for each file that belongs to no series.
    """

    found: Identification
    refused: tuple[str, ...] = ()

    def lost(self) -> str:
        """The same as a sentence; empty where every file can be used."""
        if not self.refused:
            return ""
        reasons = "; ".join(sorted(set(self.refused))[:3])
        return f"{len(self.refused)} file(s) of the study cannot be used: {reasons}."


def choose(
    paths: Sequence[Path],
    overrides: Mapping[Role, str] | None = None,
    rules: Rules | None = None,
    tolerated: Collection[Role] = (),
) -> Identification:
    """Which series of a study is FLAIR, T1gd and T2.

    Parameters
    ----------
    paths
        Files or folders of one study.
    overrides
        Role to SeriesInstanceUID, as a person decided.
    rules
        For series; those that are shipped where None.
    tolerated
        Roles that the model can do without (`engine.weights.Manifest.tolerates_missing`).

    Raises
    ------
    HeldError
        If a sequence is missing or ambiguous, or the images belong to several studies.
    """
    found = look(paths, overrides, rules).found
    check(found, tolerated)
    return found


def check(found: Identification, tolerated: Collection[Role] = ()) -> None:
    """Refuse to go on where a sequence is missing or ambiguous.

    A tolerated one may be missing. One that is there, and of which it is not clear which series it
    is, may not: what a person can tell is not left out.

    Raises
    ------
    HeldError
        With what is wrong, and what a person can do.
    """
    if found.ambiguous or set(found.missing) - set(tolerated):
        raise HeldError(found.explain())


def look(
    paths: Sequence[Path],
    overrides: Mapping[Role, str] | None = None,
    rules: Rules | None = None,
) -> Looked:
    """As `choose`, but an incomplete answer is an answer."""
    scanned = scan(paths)
    studies = {series.study_uid for series in scanned.series}
    if len(studies) > 1:
        raise HeldError(f"these files belong to {len(studies)} studies; give one at a time")
    if not scanned.series:
        reasons = sorted({refusal.reason for refusal in scanned.refused})[:3]
        raise HeldError(f"no readable image was found. {'; '.join(reasons)}".strip())
    found = identify(scanned.series, overrides or {}, rules)
    return Looked(found, tuple(refusal.reason for refusal in scanned.refused))


def tolerated_by(names: Sequence[str]) -> frozenset[Role]:
    """Roles that a manifest's ``tolerates_missing`` names; FLAIR and T1gd are always needed."""
    return frozenset(map(Role, names)) & {Role.T2}


def without(chosen: Collection[Role]) -> str:
    """What a result says of the roles it was made without; empty where there are all three."""
    missing = [role.value for role in Role if role not in chosen]
    return f"without {', '.join(missing)}" if missing else ""


def warnings(said: str) -> list[str]:
    """The same as sentences for a report: what `without` says, if anything."""
    return [f"Segmented {said}: the network saw the other sequences alone."] if said else []
