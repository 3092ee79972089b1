"""The page docs/settings.md, made from the settings themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from glioloop.settings import Settings
from glioloop.settings_part import Part


def document() -> str:
    """The page docs/settings.md: every setting with default and meaning."""
    lines = [
        "# Settings",
        "",
        "A YAML file (`glioloop serve --config glioloop.yaml`) or the environment:",
        "`listener.port` is `GLIOLOOP_LISTENER__PORT`. Unknown names are refused.",
        "`python -m glioloop.settings_page` makes this page; a test compares the two.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *_rows(Settings, ""), ""])


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Table rows of a branch, in the order of the file."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, Part):
            yield from _rows(type(field.default), f"{prefix}{name}.")
            continue
        yield f"| `{prefix}{name}` | {_default(field)} | {field.description} |"
        for part in _parts_in(field.annotation):
            ending = {"dict": ".*", "tuple": "[]"}.get(_container(field.annotation), "")
            yield from _rows(part, f"{prefix}{name}{ending}.")


def _parts_in(annotation: Any) -> Iterator[type[Part]]:
    """Branches that a setting may hold, one or any number of them."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts_in(inner)


def _container(annotation: Any) -> str:
    """What a setting holds branches in: `tuple`, `dict`, or nothing."""
    kinds = [get_origin(inner) for inner in (annotation, *get_args(annotation))]
    return next((kind.__name__ for kind in kinds if kind in (tuple, dict)), "")


def _default(field: Any) -> str:
    """A default, as YAML would write it."""
    if field.is_required():
        return "required"
    value = str(field.default) if isinstance(field.default, Path) else field.default
    value = list(value) if isinstance(value, tuple) else value
    shown = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n")
    return f"`{' '.join(shown.split())}`"


if __name__ == "__main__":
    sys.stdout.write(document())
