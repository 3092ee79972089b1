"""The tables and the figure of docs/adaptation-evidence.md, written from what the commands left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from glioloop.evidence_centre import CURVES
from glioloop.evidence_followups import CEILING
from glioloop.evidence_heads import BIAS, OURS
from study.errors import RefusedError

Found = Mapping[str, Any]

FIGURE = "adaptation-evidence.png"
LEAST_FALL = 0.10
"""Part of the error that adaptation must take away."""
NOT_YET = "Not measured yet with this model."
HEADER = ("dates", "Dice base", "adapted", "error falls by", "95 %", "harmed", "worst")


def document(text: str, found: Mapping[str, Found | None]) -> str:
    """The page with its tables anew.

    Parameters
    ----------
    text
        The page, with a pair of marks ``<!-- NAME: begin -->``, ``<!-- NAME: end -->`` for each of
        `SECTIONS`.
    found
        Section to what its command left; None where it was not run.

    Raises
    ------
    RefusedError
        If a mark is missing.
    """
    for name, section in SECTIONS.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, mark, rest = text.partition(begin)
        _old, other, after = rest.partition(end)
        if not mark or not other:
            raise RefusedError(f"the page has no marks {begin} and {end}: put them back")
        given = found.get(name)
        made = NOT_YET if given is None else section(given)
        text = f"{before}{begin}\n{made}\n{end}{after}"
    return text


def followups(found: Found) -> str:
    """Tables of `glioloop.evidence_summary.of_followups`."""
    arms = found["summary"]["arms"]
    rows = [
        [name, _share(arm["accepted"]), *_judged(arm["parts"]["all"])] for name, arm in arms.items()
    ]
    parts = [[name, *_judged(one)] for name, one in arms[OURS]["parts"].items()]
    regions = [[name, *_judged(one)] for name, one in arms[OURS]["regions"].items()]
    beside = [[f"{OURS}, beside {BIAS}", *_judged(arms[OURS]["beside bias"])]]
    return "\n\n".join(
        [
            _made_with(found, f"{found['summary']['patients']} patients"),
            f"![What the error falls by, and the curves of the centre]({FIGURE})",
            _table(("the head", "accepted", *HEADER), rows),
            _table((f"{OURS}: where", *HEADER), [*parts, *regions, *beside]),
            _bars(arms[OURS]["parts"]["all"], arms[OURS]["beside bias"]),
        ]
    )


def centre(found: Found) -> str:
    """Table of `glioloop.evidence_summary.of_centre`."""
    curves = found["summary"]["curves"]
    counts = [point["corrections"] for point in curves[next(iter(curves))]]
    rows = [
        [name, *(f"{point['judged']['dice']:.3f}" for point in points)]
        for name, points in curves.items()
    ]
    last = [[name, *_judged(points[-1]["judged"])] for name, points in curves.items()]
    own = next(iter(CURVES))
    return "\n\n".join(
        [
            _made_with(found, f"{found['summary']['cases']} cases are judged"),
            _table(("Dice after corrections", *map(str, counts)), rows),
            _table((f"after {counts[-1]}", *HEADER), last),
            _bars(curves[own][-1]["judged"], curves[own][-1]["beside bias"]),
        ]
    )


def patients(found: Found) -> str:
    """Table of `glioloop.evaluation_adaptation.plain`."""
    rows = [
        [
            one["learnt"],
            one["judged"],
            region,
            f"{one['base'][region]['dice']:.3f}",
            f"{one['adapted'][region]['dice']:.3f}",
            one["reason"],
        ]
        for one in found["transfers"]
        for region in one["base"]
    ]
    means = [
        ["**mean**", "", name, f"**{mean['base']:.3f}**", f"**{mean['adapted']:.3f}**", ""]
        for name, mean in found["mean_dice"].items()
    ]
    head = ("learnt from", "judged", "region", "Dice base", "adapted", "why")
    return f"Model {found['model']}.\n\n" + _table(head, [*rows, *means])


SECTIONS: Mapping[str, Callable[[Found], str]] = {
    "followups": followups,
    "centre": centre,
    "patients": patients,
}


def draw(path: Path, found: Mapping[str, Found | None]) -> None:
    """Write the figure: what the error falls by, and the curves of the centre.

    Parameters
    ----------
    path
        PNG.
    found
        As for `document`.
    """
    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    if (given := found.get("followups")) is not None:
        _draw_followups(left, given["summary"]["arms"])
    if (given := found.get("centre")) is not None:
        _draw_centre(right, given["summary"]["curves"])
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_followups(axes: Axes, arms: Found) -> None:
    """How much the error falls, with intervals."""
    names = list(arms)[::-1]
    values = [100.0 * arms[name]["parts"]["all"]["error_falls"] for name in names]
    ends = [[100.0 * arms[name]["parts"]["all"][end] for name in names] for end in ("low", "high")]
    reach = [
        [value - low for value, low in zip(values, ends[0], strict=True)],
        [high - value for value, high in zip(values, ends[1], strict=True)],
    ]
    colours = ["#9aa5b1" if name == CEILING else "#2b6cb0" for name in names]
    axes.barh(names, values, color=colours, xerr=reach, ecolor="#333333", capsize=3)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.axvline(100.0 * LEAST_FALL, color="#c53030", linestyle="--", linewidth=1.0)
    axes.set_xlabel("error (1 - Dice) at follow-ups falls by, %")
    axes.set_title("one correction at the first date")


def _draw_centre(axes: Axes, curves: Found) -> None:
    """Dice over the number of corrections."""
    for name, points in curves.items():
        counts = [point["corrections"] for point in points]
        axes.plot(counts, [p["judged"]["dice"] for p in points], marker="o", ms=3, label=name)
    axes.set_xlabel("corrections learnt from")
    axes.set_ylabel("mean Dice")
    axes.set_title("held-out cases of the target centre")
    axes.legend(title="corrections", fontsize=8)


def _made_with(found: Found, how_many: str) -> str:
    """Model, seed and number in one line."""
    record = found["record"]
    return (
        f"{how_many}; model {record['model']}, backbone `{record['backbone'][:12]}`, brain model"
        f" {record['brain_model']}, seed {record['seed']},"
        f" {len(record['anatomies'])} held-out anatomies."
    )


def _bars(judged: Found, beside_bias: Found) -> str:
    """What was to be reached, and whether it was."""
    fall, worst, more = judged["error_falls"], judged["worst"], beside_bias["error_falls"]
    rows = [
        ["the error falls by 10 % or more", f"{100 * fall:.1f} %", _yes(fall >= LEAST_FALL)],
        ["more than with biases alone", f"{100 * more:.1f} % more", _yes(more > 0)],
        ["none is worse than base by more than 0.02", f"{worst:+.3f}", _yes(worst >= -0.02)],
    ]
    return _table(("to be reached", "measured", "reached"), rows)


def _yes(reached: bool) -> str:  # noqa: FBT001 - a word for a fact
    """A fact as a word."""
    return "yes" if reached else "no"


def _judged(one: Found) -> list[str]:
    """A `glioloop.evidence_statistics.Judged` in the columns of `HEADER`."""
    if not one["dates"]:
        return ["0", *["-"] * (len(HEADER) - 1)]
    return [
        str(one["dates"]),
        f"{one['dice_base']:.3f}",
        f"{one['dice']:.3f}",
        f"{100 * one['error_falls']:.1f} %",
        f"{100 * one['low']:.1f} to {100 * one['high']:.1f}",
        f"{100 * one['harmed']:.0f} %",
        f"{one['worst']:+.3f}",
    ]


def _share(part: float | None) -> str:
    """A share for a table."""
    return "-" if part is None else f"{100 * part:.0f} %"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
