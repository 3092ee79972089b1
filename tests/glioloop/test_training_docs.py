"""Every command of docs/training.md is one that the command line understands."""

import re
import shlex
from itertools import product
from pathlib import Path

import pytest
from typer.main import get_command

from engine.crops import STRATEGIES
from engine.plan import LOSSES, OUTPUTS
from glioloop.cli import build
from glioloop.training_order import Wish, order

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in re.findall(r"^    ((?:glioloop|torchrun) .+)$", PAGE, re.M)]
ROWS = re.findall(r"`(glioloop train [^`]+ --out [^`]+)`", PAGE)


def _options(command: str) -> dict[str, object]:
    """What the command line makes of a command; it refuses an option that it does not know."""
    words = shlex.split(command)
    words = words[words.index("train") :]
    train = get_command(build(words)).commands["train"]  # type: ignore[attr-defined]
    return dict(train.make_context("train", words[1:]).params)


@pytest.fixture(scope="module", autouse=True)
def _no_model_is_read(module_patch: pytest.MonkeyPatch) -> None:
    """Models to begin from are named in the page; none is there."""
    module_patch.setattr("glioloop.training_order._start", lambda _wish: None)


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize("command", [*COMMANDS, *ROWS])
def test_a_command_of_the_page_is_understood(command):
    given = _options(command)
    wish = Wish.of({**given, "data": tuple(given["data"] or ())})
    assert order(wish).plan.steps > 0


def test_the_page_has_a_command_for_each_published_combination():
    rows = [_options(command) for command in ROWS]
    found = sorted((r["strategy"], r["output"], r["loss"]) for r in rows)
    published = [name for name in STRATEGIES if name != "lesions"]
    assert found == sorted(product(published, OUTPUTS, LOSSES))
    assert {row["plan"] for row in rows} == {"published"}
    assert len({row["out"] for row in rows}) == 20


def test_the_page_has_its_other_commands():
    assert len(COMMANDS) == 10
    assert COMMANDS[-1].startswith("torchrun --standalone")


def test_an_unknown_option_would_be_found():
    with pytest.raises(Exception, match="No such option"):
        _options("glioloop train --out x --wishful")
