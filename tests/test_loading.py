"""What a process loads when it starts: seconds for each of the large libraries."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
ROOMS = {"study", "listener", "converter", "engine", "dicomseg", "glioloop"}
NETWORK, REPORTS = {"torch", "openvino"}, {"highdicom", "matplotlib"}


def at_import(body: list[ast.stmt]) -> Iterator[str]:
    """Full names of what a module imports while it is loaded itself: not in functions."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If):
            typing_only = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            yield from at_import(node.orelse if typing_only else node.body + node.orelse)
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from at_import(node.body)


def loaded(name: str) -> set[str]:
    """Libraries that are loaded with one of our modules, and with those that it loads."""
    libraries: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        path = CHECKOUT / (waiting.pop().replace(".", "/") + ".py")
        if not path.is_file():  # a room, or a name in a module
            continue
        for found in at_import(ast.parse(path.read_text(encoding="utf-8")).body):
            top = found.partition(".")[0]
            if top not in ROOMS:
                libraries.add(top)
            elif found not in seen:
                seen.add(found)
                waiting.append(found)
    return libraries


@pytest.mark.parametrize(
    ("module", "not_needed"),
    [
        ("glioloop.service", NETWORK | REPORTS | {"SimpleITK", "nibabel"}),
        ("glioloop.seg_tasks", NETWORK | REPORTS | {"SimpleITK", "nibabel", "dbos"}),
        ("glioloop.tasks", NETWORK | {"nibabel", "dbos"}),
        ("glioloop.network_tasks", REPORTS | {"nibabel", "dbos"}),
    ],
)
def test_a_process_loads_only_what_it_needs(module: str, not_needed: set[str]) -> None:
    assert loaded(module) & not_needed == set()


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("glioloop.service", {"dbos", "pynetdicom"}),
        ("glioloop.tasks", {"highdicom", "matplotlib"}),
        ("glioloop.network_tasks", {"torch", "openvino"}),
    ],
)
def test_what_it_needs_is_seen_through_other_modules(module: str, needed: set[str]) -> None:
    assert needed <= loaded(module)
