"""Identification on a table of series, without images: to try rules on an archive's list."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from converter.attributes import Attributes, of_row
from converter.evidence import Evidence
from converter.identify import weigh
from converter.rules import Rules
from study.errors import RefusedError

STUDY_COLUMNS = ("StudyInstanceUID", "StudyID")


def read_table(path: Path) -> list[Attributes]:
    """Attributes of each row of a CSV file, in its order.

    Parameters
    ----------
    path
        UTF-8; columns are named by DICOM keywords, of which SeriesDescription and one of
        `STUDY_COLUMNS` are needed; columns that are not used are ignored. Values of a multi-valued
        attribute are separated by backslashes.

    Raises
    ------
    RefusedError
        If the file cannot be read as such a table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as table:
            rows = csv.DictReader(table)
            columns = set(rows.fieldnames or ())
            if "SeriesDescription" not in columns or not columns & set(STUDY_COLUMNS):
                raise RefusedError(
                    f"the table has the columns {sorted(columns)}; SeriesDescription and one of"
                    f" {', '.join(STUDY_COLUMNS)} are needed"
                )
            return [of_row(row, number) for number, row in enumerate(rows, start=1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RefusedError(f"this is no table that can be read: {error}") from error


def weigh_table(series: list[Attributes], rules: Rules | None = None) -> list[Evidence]:
    """Evidence for each row, in the same order; rows of one study are weighed together."""
    studies: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(series):
        studies[one.study].append(place)
    found: dict[int, Evidence] = {}
    for places in studies.values():
        found.update(zip(places, weigh([series[p] for p in places], rules), strict=True))
    return [found[place] for place in range(len(series))]
