"""What the fuzz suite counted, and the table of it in docs/security.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- fuzz: begin -->", "<!-- fuzz: end -->"


@dataclass
class Count:
    """What came of one kind of input.

    Parameters
    ----------
    slowest_s
        The longest that one input was worked on.
    peak_mib
        Most memory of the process at any time, and what it may have.
    """

    kind: str
    seed: int
    inputs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    hangs: int = 0
    crashes: int = 0
    unforeseen: int = 0
    slowest_s: float = 0.0
    peak_mib: int = 0
    cap_mib: int = 0

    def add(self, outcome: str, seconds: float) -> None:
        """Take one input into account."""
        self.inputs += 1
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.slowest_s = max(self.slowest_s, seconds)

    @property
    def row(self) -> str:
        """A row of the table."""
        found = sorted(self.outcomes.items(), key=lambda one: -one[1])
        said = ", ".join(f"{name} {count}" for name, count in found)
        return (
            f"| {self.kind} | {self.seed} | {self.inputs} | {said} | {self.crashes} |"
            f" {self.hangs} | {self.unforeseen} | {self.slowest_s:.1f} s |"
            f" {self.peak_mib} of {self.cap_mib} MiB |"
        )


def write(counts: list[Count], page: Path = PAGE) -> None:
    """Put the table into the page, in place of the last one."""
    rows = "\n".join(
        [
            f"Written by `make fuzz` on {date.today().isoformat()}.",  # noqa: DTZ011
            "",
            "| inputs | seed | number | outcomes | crashes | hangs | errors | slowest | memory |",
            "|---|---|---|---|---|---|---|---|---|",
            *(count.row for count in counts),
        ]
    )
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{rows}\n{END}{rest.partition(END)[2]}")
