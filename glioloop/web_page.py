"""The status page: every table, each value escaped, and what a person can decide beside it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

from glioloop import overview
from glioloop.ledger_schema import LEARNT, CorrectionState, StudyState
from glioloop.site import Site

SEGMENT = (StudyState.HELD, StudyState.FAILED, StudyState.IGNORED)
"""States of a study that a person may ask to be segmented."""
CORRECTED = (StudyState.SEGMENTED, StudyState.DELIVERED)
"""States of a study that a mask may correct."""
LONG = 24
"""Characters beyond which a word is broken, so that a row fits a screen: UIDs are longer."""

SCRIPT = """
const inputs = [...document.querySelectorAll("input:not([type=hidden])")];
setInterval(() => inputs.some((input) => input.value) || location.reload(), 10000);
for (const input of document.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", async () => {
    const labels = encodeURIComponent(input.previousElementSibling.value);
    const address = `/api/v1/studies/${input.dataset.uid}/mask?labels=${labels}`;
    let said = "taken";
    try {
      const answer = await fetch(address, { method: "POST", body: input.files[0] });
      if (!answer.ok) said = (await answer.json()).error;
    } catch (error) {
      said = `not sent: ${error}`;
    }
    input.insertAdjacentText("afterend", ` ${said}`);
    input.value = "";
  });
}
"""
"""Shows the page anew while nothing is typed; sends a mask as the body of a request."""


def render(site: Site) -> str:
    """The status page: every table, each value escaped."""
    state = overview.status(site)
    sections = "".join(_table(name, rows(site)) for name, rows in overview.TABLES.items())
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Glioloop</title>
<style>
body{{font-family:sans-serif;margin:2em}} table{{border-collapse:collapse;margin-bottom:2em}}
td,th{{border:1px solid #bbb;padding:.3em .6em;text-align:left;font-size:.85em;vertical-align:top}}
.long{{min-width:9em;max-width:18em;overflow-wrap:anywhere}} td:has(input,button){{min-width:20em}}
.held,.failed,.parked,.refused{{background:#fdd}}
</style></head><body><h1>Glioloop {html.escape(metadata.version("glioloop"))}</h1>
{_table("status", [state])}{sections}<script src="/page.js"></script></body></html>"""


def _table(name: str, rows: list[dict[str, Any]]) -> str:
    """One table; rows that wait for a person are red."""
    if not rows:
        return f"<h2>{html.escape(name)}</h2><p>none</p>"
    head = "".join(f"<th>{html.escape(column.replace('_', ' '))}</th>" for column in rows[0])
    body = "".join(_row(name, row) for row in rows)
    return f"<h2>{html.escape(name)}</h2><table><tr>{head}</tr>{body}</table>"


def _row(name: str, row: Mapping[str, Any]) -> str:
    """One row, and the buttons of what can be decided about it."""
    state = html.escape(str(row.get("state", "")), quote=True)
    buttons = _buttons(name, row)
    decision = f"<td>{buttons}</td>" if buttons else ""
    return f'<tr class="{state}">{"".join(_cells(row.values()))}{decision}</tr>'


def _buttons(name: str, row: Mapping[str, Any]) -> str:
    """A form with a field and buttons; empty where nothing can be decided."""
    state = row.get("state")
    if name == "studies" and state in SEGMENT:
        return _form(str(row["study_uid"]), ("segment",), "FLAIR=SeriesInstanceUID, T2=...")
    if name == "studies" and state in CORRECTED:
        return _upload(str(row["study_uid"]))
    if name == "corrections" and state == CorrectionState.HELD:
        return _form(str(row["sop_instance_uid"]), ("accept", "reject"), "Segment 2=edema, ...")
    if name == "corrections" and state in LEARNT:
        return _form(str(row["sop_instance_uid"]), ("withdraw",), "")
    return ""


def _upload(uid: str) -> str:
    """A field for a NIfTI mask that corrects the study's latest result."""
    uid = html.escape(uid, quote=True)
    numbers = '<input placeholder="numbers: 1=necrosis,2=edema,3=enhancing" size="34">'
    return f'<label>mask {numbers}<input type="file" accept=".nii,.gz" data-uid="{uid}"></label>'


def _form(uid: str, decisions: Iterable[str], hint: str) -> str:
    """A form that posts a decision about one UID."""
    field = f'<input name="map" placeholder="{html.escape(hint)}" size="34">' if hint else ""
    buttons = "".join(f'<button name="decision" value="{d}">{d}</button>' for d in decisions)
    hidden = f'<input type="hidden" name="uid" value="{html.escape(uid, quote=True)}">'
    return f'<form method="post" action="/decide">{hidden}{field}{buttons}</form>'


def _cells(values: Iterable[Any]) -> Iterator[str]:
    """Escaped cells."""
    for value in values:
        text = _in_words(value)
        broken = ' class="long"' if max(map(len, text.split()), default=0) > LONG else ""
        yield f"<td{broken}>{html.escape(text)}</td>"


def _in_words(value: Any) -> str:
    """A value as a person reads it; counts by state as ``held 1, delivered 3``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_words(one)}" for name, one in value.items())
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return "" if value is None else str(value)
