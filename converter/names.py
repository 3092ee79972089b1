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

SEPARATORS = re.compile(r"[^\w+]+|_+")
"""What lies between words; a plus sign is a word of its own, letters may be of any script."""

SCRIPTS = re.compile(r"(?<=[a-z0-9])(?=[^\W_a-z0-9])|(?<=[^\W_a-z0-9])(?=[a-z0-9])")
"""Where a name goes over from Latin letters and digits to another script: ``T1造影``."""

MINUS = re.compile(
    r"(?:^|[\s_])-\s?(?=(?:gd|gad|gado|c|k|km|contrast|kontrast)\b)"
    r"|(?<=\bgd)-$|(?<=\bkm)-$|(?<=\biv)-$|(?<=\b[ck])-$|\(\s?-\s?\)"
)
"""A minus before a word for contrast, after it at the end of a name, or alone in brackets; between
words without a space it is a hyphen."""

LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "ı": "i"}
)
"""Letters that have no accent to strip."""

CYRILLIC_T = re.compile(r"т(?=[12])")
"""Looks like the T of T1."""

UNKNOWN_SHARE = 0.25
"""Largest share of a glued word that known words may leave over."""

UNKNOWN_SHARE_TELLING = 0.4
"""The same where the word holds one that cannot be there by chance (`Vocabulary.telling`)."""

KNOWN_LETTERS = 5
"""Letters and digits of known words that suffice, with such a word among them."""


@dataclass(frozen=True)
class Vocabulary:
    """The words that rules know, those that glued names are made of, and what stands for what.

    Parameters
    ----------
    known
        Words of any rule.
    glue
        Words that glued names are taken apart into.
    telling
        Words that show by themselves that a name is glued, such as ``flair``; those of a letter and
        a digit (``t1``) only next to another known word, since ``part1`` holds one by chance.
    replace
        A phrase, and what stands for it.
    """

    known: frozenset[str]
    glue: frozenset[str]
    telling: frozenset[str]
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
    plain = unicodedata.normalize("NFKD", text.lower().translate(LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).strip()
    plain = CYRILLIC_T.sub("t", plain)
    plain = MINUS.sub(" minus ", plain.replace("t2*", " t2star ").replace("w/o", " without "))
    plain = SCRIPTS.sub(" ", SEPARATORS.sub(" ", plain.replace("+", " + ")))
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
    # Philips puts one letter before the weighting: sT1W, eT2W, eFLAIR.
    if word[1:] in vocabulary.telling and word[0].isalpha():
        return (word[1:],)
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
    if all(piece.startswith("?") for piece in pieces):
        return (word,)
    tells = _tells(pieces, vocabulary)
    share = UNKNOWN_SHARE_TELLING if tells else UNKNOWN_SHARE
    spelt = sum(len(piece) for piece in pieces if not piece.startswith("?"))
    enough = left <= share * letters or (tells and spelt >= KNOWN_LETTERS)
    return tuple(_joined(pieces)) if enough else (word,)


def _tells(pieces: Sequence[str], vocabulary: Vocabulary) -> bool:
    """Whether a word of `Vocabulary.telling` is among the pieces, and not by chance."""
    for place, piece in enumerate(pieces):
        if piece not in vocabulary.telling:
            continue
        beside = (*pieces[max(0, place - 1) : place], *pieces[place + 1 : place + 2])
        if len(piece) > 3 or any(not other.startswith("?") for other in beside):
            return True
    return False


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
