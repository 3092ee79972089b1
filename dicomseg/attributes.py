"""Attributes of a dataset as plain values, whatever a foreign writer left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydicom import Dataset

from study.errors import RefusedError


def uids_in(dataset: Dataset, *keywords: str) -> Iterable[str]:
    """Every Referenced SOP Instance UID at any depth of some sequences."""
    for keyword in keywords:
        for item in items_of(dataset, keyword):
            if "ReferencedSOPInstanceUID" in item:
                yield str(item.ReferencedSOPInstanceUID)
            nested = [element.keyword for element in item if element.VR == "SQ"]
            yield from uids_in(item, *nested)


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence; none where it is missing."""
    found = dataset.get(keyword)
    return list(found) if found else []


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """First item of a sequence."""
    items = items_of(dataset, keyword)
    return items[0] if items else None


def filled_texts(dataset: Dataset, *keywords: str) -> tuple[str, ...]:
    """Values of those attributes that are not empty."""
    return tuple(text for text in (text_of(dataset, k) for k in keywords) if text)


def text_of(dataset: Dataset, keyword: str) -> str:
    """An attribute as trimmed text, empty where missing."""
    value: Any = dataset.get(keyword)
    return "" if value is None else str(value).strip(" \x00")


def count_of(dataset: Dataset, keyword: str, most: int, missing: int | None = None) -> int:
    """An attribute as a number from 1 to `most`."""
    value = dataset.get(keyword, missing)
    if not isinstance(value, int) or not 1 <= value <= most:
        raise RefusedError(f"its *{keyword}* is {value}; 1 to {most} is read")
    return int(value)


def maybe_number(dataset: Dataset, keyword: str) -> float | None:
    """A positive number, or None."""
    try:
        value = float(dataset.get(keyword))
    except (TypeError, ValueError):
        return None
    return value if 0 < value < 1000 else None


def numbers(dataset: Dataset, keyword: str, count: int) -> list[float]:
    """Values of an attribute as `count` numbers; refused where they are not."""
    try:
        values = [float(v) for v in dataset[keyword].value]
    except (KeyError, TypeError, ValueError, OverflowError):
        values = []
    if len(values) != count or not all(abs(v) < 1e7 for v in values):
        raise RefusedError(
            f"(instance {dataset.get('SOPInstanceUID', 'without UID')}) *{keyword}* is missing "
            f"or not {count} plain numbers"
        )
    return values
