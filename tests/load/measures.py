"""What a process takes of the machine, and the table that `make test-load` writes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "load.md"
BEGIN, END = "<!-- load: begin -->", "<!-- load: end -->"
SIZES_PAGE = PAGE.with_name("scaling.md")
SIZES_BEGIN, SIZES_END = "<!-- sizes: begin -->", "<!-- sizes: end -->"
HEAD = (
    "| what was sent | images | lost | s | images/s | MiB | threads | file handles |",
    "|---|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Taken:
    """What a process has: memory that is its own (MiB), threads, open file handles."""

    mib: int
    threads: int
    handles: int

    @classmethod
    def of(cls, pid: int) -> Taken:
        """What it has now."""
        folder = Path("/proc") / str(pid)
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        return cls(
            mib=int(fields["RssAnon"].split()[0]) >> 10,
            threads=int(fields["Threads"]),
            handles=len(list((folder / "fd").iterdir())),
        )


def write_sizes(sizes: dict[str, int]) -> None:
    """Put what a soak left on the disk into the page about sizes."""
    if not os.environ.get("LOAD_TABLE"):
        return
    before, rest = SIZES_PAGE.read_text().split(SIZES_BEGIN)
    after = rest.split(SIZES_END)[1]
    rows = "\n".join(f"| {what} | {size:,} |" for what, size in sizes.items())
    table = f"| what | bytes |\n|---|---|\n{rows}"
    SIZES_PAGE.write_text(f"{before}{SIZES_BEGIN}\n{table}\n{SIZES_END}{after}")


def write_row(
    what: str, images: int, lost: int, seconds: float, before: Taken, after: Taken
) -> None:
    """Put a trial into the page, over the row of its name; `make test-load` asks for it."""
    if not os.environ.get("LOAD_TABLE"):
        return
    row = (
        f"| {what} | {images} | {lost} | {seconds:.1f} | {images / seconds:.0f}"
        f" | {before.mib} to {after.mib} | {before.threads} to {after.threads}"
        f" | {before.handles} to {after.handles} |"
    )
    page_before, rest = PAGE.read_text().split(BEGIN)
    old, page_after = rest.split(END)
    rows = {line.split("|")[1]: line for line in old.strip().splitlines()[2:]}
    rows[f" {what} "] = row
    lines = "\n".join((*HEAD, *(rows[one] for one in sorted(rows))))
    PAGE.write_text(f"{page_before}{BEGIN}\n{lines}\n{END}{page_after}")
