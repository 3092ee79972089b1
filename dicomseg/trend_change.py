"""How volumes changed against a patient's earlier results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dicomseg.opening import SEGMENTATION
from dicomseg.trend import first_best_last
from study.tissue import REGIONS


@dataclass(frozen=True)
class Earlier:
    """A result of an earlier study of the same patient.

    Parameters
    ----------
    date
        (0008,0020) *Study Date*, ``YYYYMMDD``.
    study_uid, seg_sop_instance_uid
        Of the study, and of the Segmentation that the volumes are of.
    volumes
        Key of `study.tissue.REGIONS` to mL; regions that it does not speak of are left out.
    corrected
        Whether a person outlined it.
    seg_series_uid
        Of the Segmentation; empty where it is not known.
    seg_sop_class_uid
        Of the Segmentation.
    """

    date: str
    study_uid: str
    seg_sop_instance_uid: str
    volumes: Mapping[str, float]
    corrected: bool = False
    seg_series_uid: str = ""
    seg_sop_class_uid: str = SEGMENTATION

    @property
    def is_image(self) -> bool:
        """Whether a report refers to the Segmentation as an image; else it names the UID alone.

        A report's evidence lists series (PS3.3 section C.17.2). DCMTK 3.6.7 gives up on a document
        that refers to an image of a class that it does not know, as Label Map Segmentation.
        """
        return bool(self.seg_series_uid) and self.seg_sop_class_uid == SEGMENTATION


@dataclass(frozen=True)
class Change:
    """Volume of one region against an earlier result."""

    region: str
    earlier: Earlier
    compared_as: tuple[str, ...]
    """``"first"``, ``"best"``, ``"last"``: one result may be all three."""
    before_ml: float
    now_ml: float

    @property
    def change_ml(self) -> float:
        """Positive where it grew."""
        return self.now_ml - self.before_ml

    @property
    def change_percent(self) -> float | None:
        """Of the earlier volume; None where that was zero."""
        return 100 * self.change_ml / self.before_ml if self.before_ml > 0 else None


def compared(earlier: Sequence[Earlier], date: str) -> list[tuple[Earlier, tuple[str, ...]]]:
    """The first, best and last of a patient's earlier results, ordered by date.

    Parameters
    ----------
    earlier
        In any order.
    date
        *Study Date* of the study that is compared; later ones are left out. Where it is empty,
        nothing is known to be later.

    Returns
    -------
    list of (Earlier, tuple of str)
        Each with what it is. The best is that with the least enhancing tumour, the nadir of RANO;
        of several the first.
    """
    before = sorted(
        (e for e in earlier if not date or e.date <= date),
        key=lambda e: (e.date, e.study_uid, e.seg_sop_instance_uid),
    )
    return first_best_last(before, lambda e: e.volumes.get("enhancing"))


def changes(now: Mapping[str, float], earlier: Sequence[Earlier], date: str) -> list[Change]:
    """Change of each region against the first, best and last earlier result.

    Parameters
    ----------
    now
        Region to mL.
    earlier, date
        As for `compared`.
    """
    return [
        Change(region, result, names, result.volumes[region], now[region])
        for result, names in compared(earlier, date)
        for region in REGIONS
        if region in now and region in result.volumes
    ]
