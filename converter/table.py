"""Identification on a table of series, without images: to try rules on an archive's list."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converter.attributes import Attributes, of_row
from converter.evidence import Evidence
from converter.identify import weigh
from converter.roles import Decision, decide
from converter.rules import Rules, load
from study.errors import RefusedError

STUDY_COLUMNS = ("StudyInstanceUID", "StudyID")


@dataclass(frozen=True)
class Table:
    """Rows of a file, by their columns, and what is known of each."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    series: tuple[Attributes, ...]

    def column(self, name: str) -> list[str]:
        """Values of one column, in order.

        Raises
        ------
        RefusedError
            If there is none of that name.
        """
        if name not in self.columns:
            known = ", ".join(self.columns)
            raise RefusedError(f"the table has no column {name}; it has {known}")
        return [(row[name] or "").strip() for row in self.rows]


@dataclass(frozen=True)
class StudyOfTable:
    """One study of a table: places of its rows, and the decision among them."""

    study: str
    places: tuple[int, ...]
    evidence: tuple[Evidence, ...]
    decision: Decision


@dataclass(frozen=True)
class TableIdentification:
    """What was found in each study of a table.

    Parameters
    ----------
    studies
        In order of their first rows.
    evidence
        One for each row, in order.
    roles
        The role for which each row was chosen, or None.
    """

    studies: tuple[StudyOfTable, ...]
    evidence: tuple[Evidence, ...]
    roles: tuple[str | None, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values; ``series`` has one entry for each row, in order."""
        study_of = {place: one.study for one in self.studies for place in one.places}
        return {
            "series": [
                {"row": place + 1, "study": study_of[place], "role": self.roles[place]}
                | found.as_json()
                for place, found in enumerate(self.evidence)
            ],
            "studies": {one.study: one.decision.as_json(one.evidence) for one in self.studies},
        }


def read_table(path: Path) -> Table:
    """Rows of a CSV file, in its order.

    Parameters
    ----------
    path
        UTF-8, separated by commas, semicolons or tabs; columns are named by DICOM keywords, of
        which SeriesDescription and one of `STUDY_COLUMNS` are needed; columns that are not used
        are ignored. Values of a multi-valued attribute are separated by backslashes.

    Raises
    ------
    RefusedError
        If the file cannot be read as such a table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            separator = max(",;\t", key=first.count)
            reader = csv.DictReader(file, delimiter=separator)
            columns = tuple((name or "").strip() for name in reader.fieldnames or ())
            reader.fieldnames = list(columns)
            if "SeriesDescription" not in columns or not set(columns) & set(STUDY_COLUMNS):
                raise RefusedError(
                    f"the table {path} has the columns {', '.join(columns) or '(none)'};"
                    f" SeriesDescription and one of {', '.join(STUDY_COLUMNS)} are needed"
                )
            rows = tuple(reader)
    except OSError as error:
        raise RefusedError(f"{path} is no table that can be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise RefusedError(f"{path} is no table that can be read as UTF-8: {error}") from error
    series = tuple(of_row(row, number) for number, row in enumerate(rows, start=1))
    return Table(columns, rows, series)


def identify_table(series: Sequence[Attributes], rules: Rules | None = None) -> TableIdentification:
    """Find the series of each role in every study of a table.

    Rows of one study are weighed together; a row that names no study is a study of its own.
    """
    rules = rules or load()
    places_of: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(series):
        places_of[one.study or one.series_uid].append(place)
    studies = []
    evidence: dict[int, Evidence] = {}
    roles: dict[int, str | None] = {}
    for study, places in places_of.items():
        known = [series[place] for place in places]
        found = tuple(weigh(known, rules))
        decision = decide(known, found, rules, {})
        studies.append(StudyOfTable(study, tuple(places), found, decision))
        for at, place in enumerate(places):
            evidence[place], roles[place] = found[at], decision.role(at)
    order = range(len(series))
    return TableIdentification(
        tuple(studies), tuple(evidence[p] for p in order), tuple(roles[p] for p in order)
    )
