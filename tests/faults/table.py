"""The table of docs/reliability.md: what each trial of `make test-faults` counted at its end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEAD = (
    "| what happened | studies | with a result | lost | duplicates | corrections | learnt twice |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Row:
    """One trial."""

    what: str
    accepted: int
    results: int
    lost: int
    duplicates: int
    corrections: int
    twice: int

    def __str__(self) -> str:
        numbers = (
            self.accepted, self.results, self.lost, self.duplicates, self.corrections, self.twice
        )  # fmt: skip
        return f"| {self.what} | {' | '.join(map(str, numbers))} |"


def table(row: Row) -> None:
    """Put a trial into the page, over the row of its name; `make test-faults` asks for it."""
    if not os.environ.get("FAULTS_TABLE"):
        return
    before, rest = PAGE.read_text().split(BEGIN)
    old, after = rest.split(END)
    rows = {line.split("|")[1]: line for line in old.strip().splitlines()[2:]}
    rows[f" {row.what} "] = str(row)
    lines = "\n".join((*HEAD, *(rows[what] for what in sorted(rows))))
    PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}")
