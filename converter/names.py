"""Words of a series' name.

Rules match whole words, never parts of them: ``space`` must not be found to hold ``pace``, and
``T1 FLAIR`` must be told from ``FLAIR``. But names come glued (``t1tra``, ``BRAINT1SAGGAD``), since
scanners and archives drop separators. So a word that no rule knows is taken apart into known words
where they cover nearly all of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

SEPARATORS = re.compile(r"[^a-z0-9+]+")
"""What lies between words; a plus sign is a word of its own."""

MINUS = re.compile(r"(?:^|\s)-\s?(?=(?:gd|gad|gado|c|k|km|contrast)\b)")
"""A minus before a word for contrast; between words without a space it is a hyphen."""

UNKNOWN_SHARE = 0.25
"""Largest share of a glued word that known words may leave over."""


@dataclass(frozen=True)
class Vocabulary:
    """The words that rules know, those that glued names are made of, and what stands for what."""

    known: frozenset[str]
    glue: frozenset[str]
    replace: Mapping[str, str]

    def __hash__(self) -> int:
        return id(self)


def words(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Words of a name: lower case, without accents, glued words taken apart, synonyms replaced.

    Examples
    --------
    ``"T1_SE_TRA +C"`` gives ``t1 se tra + c``; ``"BRAINSTRYKERT1SAGGAD"`` gives ``brain stryker t1
    sag gad``.
    """
    plain = unicodedata.normalize("NFKD", text.lower().replace("ß", "ss"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = MINUS.sub(" minus ", plain.replace("t2*", " t2star ").replace("w/o", " without "))
    plain = SEPARATORS.sub(" ", plain.replace("+", " + "))
    found = [part for word in plain.split() for part in _unglued(word, vocabulary)]
    joined = f" {' '.join(found)} "
    for phrase, meaning in vocabulary.replace.items():
        joined = joined.replace(f" {phrase} ", f" {meaning} ")
    return tuple(joined.split())


def first_match(words_of_name: Sequence[str], phrases: Iterable[str]) -> str | None:
    """The first of the phrases that the name holds as whole consecutive words.

    A phrase that ends in ``*`` is the beginning of a word.
    """
    joined = f" {' '.join(words_of_name)} "
    for phrase in phrases:
        if phrase.endswith("*"):
            if f" {phrase[:-1]}" in joined:
                return phrase
        elif f" {phrase} " in joined:
            return phrase
    return None


def without(words_of_name: Sequence[str], phrases: Iterable[str]) -> tuple[str, ...]:
    """The name without some phrases, longest first."""
    joined = f" {' '.join(words_of_name)} "
    for phrase in sorted(phrases, key=len, reverse=True):
        joined = joined.replace(f" {phrase} ", " ")
    return tuple(joined.split())


@lru_cache(maxsize=4096)
def _unglued(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Known words that a word is glued from, with what is left over; else the word itself."""
    if word in vocabulary.known or word in vocabulary.glue or word.isdigit():
        return (word,)
    # An archive that drops the plus sign of "T1 COR+C" leaves "T1 CORC".
    stem = _unglued(word[:-1], vocabulary) if word.endswith("c") else ()
    if stem and vocabulary.known.union(vocabulary.glue).issuperset(stem):
        return (*stem, "c")
    # Cheapest way to reach each place: (letters left over, number of pieces, pieces).
    best: list[tuple[int, int, tuple[str, ...]]] = [(0, 0, ())]
    for end in range(1, len(word) + 1):
        left, count, pieces = best[end - 1]
        digit = word[end - 1].isdigit()
        ways = [(left + (not digit), count + 2, (*pieces, f"?{word[end - 1]}"))]
        for start in range(max(0, end - 24), end):
            if word[start:end] in vocabulary.glue:
                before = best[start]
                ways.append((before[0], before[1] + 1, (*before[2], word[start:end])))
        best.append(min(ways))
    left, _, pieces = best[-1]
    letters = sum(not letter.isdigit() for letter in word)
    if all(piece.startswith("?") for piece in pieces) or left > UNKNOWN_SHARE * letters:
        return (word,)
    return tuple(_joined(pieces))


def _joined(pieces: Sequence[str]) -> Iterable[str]:
    """Pieces, with neighbouring left-over letters put together again."""
    rest = ""
    for piece in pieces:
        if piece.startswith("?"):
            rest += piece[1:]
            continue
        if rest:
            yield rest
            rest = ""
        yield piece
    if rest:
        yield rest
