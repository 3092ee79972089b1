"""``NAME=VALUE``, as a person writes it on the command line or in a field of the status page."""

from __future__ import annotations

from collections.abc import Iterable

from study.errors import RefusedError


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """``["Seg 2=edema", "scratch=none"]`` as a mapping; empty texts count for nothing.

    Raises
    ------
    RefusedError
        If a text is no name and value.
    """
    found = {}
    for text in filter(None, (one.strip() for one in texts)):
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (sign and name and value):
            raise RefusedError(f"NAME=VALUE is needed, not {text!r}")
        found[name] = value
    return found
