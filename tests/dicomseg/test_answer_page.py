from __future__ import annotations

import numpy as np
import pytest
from burned_in import pixels_of, place_of_text

from dicomseg.answer_page import answer
from dicomseg.page import FAINT

HEADLINE = "Not segmented: no FLAIR among 14 series"


def text_at(png, text, **look):
    found = place_of_text(png, text, **look)
    assert found is not None, text
    return found


def test_headline_reasons_and_version_are_burned_in():
    """From top to bottom, on a page of 1280 by 960."""
    png = answer(HEADLINE, ["First reason.", "Second reason."], version="Glioloop 0.1.0")
    assert pixels_of(png).shape == (960, 1280, 3)
    rows = [
        text_at(png, HEADLINE, size=34, bold=True)[0],
        text_at(png, "First reason.", size=22)[0],
        text_at(png, "Second reason.", size=22)[0],
        text_at(png, "Not for diagnosis - Glioloop 0.1.0", bold=True)[0],
    ]
    assert rows == sorted(rows)


def test_what_is_not_given_is_not_written():
    """The same page without one reason, and without its own version."""
    png = answer("Another headline", ["First reason."], version="2")
    assert place_of_text(png, HEADLINE, size=34, bold=True) is None
    assert place_of_text(png, "Second reason.", size=22) is None
    assert place_of_text(png, "Not for diagnosis - Glioloop 0.1.0", bold=True) is None
    text_at(png, "Not for diagnosis - 2", bold=True)


def test_what_does_not_fit_is_counted():
    """Between headline and version are 820 pixels, 20 of them free; a reason of one line takes 42,
    the line that counts 32: 18 fit with that, 19 without.
    """
    sentences = [f"Reason {number}." for number in range(1, 41)]
    png = answer("Headline", sentences, version="1")
    assert place_of_text(png, "Reason 18.", size=22)
    assert place_of_text(png, "Reason 19.", size=22) is None
    text_at(png, "and 22 more", size=22, colour=FAINT)
    whole = answer("Headline", sentences[:19], version="1")
    assert place_of_text(whole, "Reason 19.", size=22)
    assert place_of_text(whole, "and 1 more", size=22, colour=FAINT) is None


def test_a_first_reason_that_is_longer_than_the_page_is_cut():
    """The others are counted, and nothing is written over the last line."""
    words = " ".join(f"w{number}" for number in range(600))
    png = answer("Headline", [words, "Second.", "Third."], version="1")
    text_at(png, "and 2 more", size=22, colour=FAINT)
    text_at(png, "Not for diagnosis - 1", bold=True)
    alone = answer("Headline", [words], version="1")
    assert place_of_text(alone, "and 0 more", size=22, colour=FAINT) is None


def test_a_long_sentence_is_wrapped():
    """Its last words are on the page."""
    sentence = "The study has fourteen series, " * 6 + "none of them is a FLAIR."
    png = answer("Headline", [sentence], version="1")
    assert (pixels_of(png)[:, 1257:] == 16).all()
    short = answer("Headline", [sentence.replace("FLAIR", "T2")], version="1")
    assert (pixels_of(png) != pixels_of(short)).any()


@pytest.mark.parametrize(
    "text",
    ["", " ", "脳腫瘍 造影", "\ud800", "a\x00b", "\u202e" * 50, "😀👩‍⚕️", "e" + "\u0301" * 300,
     "W" * 5000, "x\n" * 900, "\ufdfa" * 400, "مرحبا", "\U0010ffff"],
)  # fmt: skip
def test_any_text_can_be_given(text):
    """Nothing raises, and the disclaimer stays readable."""
    png = answer(text, [text, "Legible.", text], version=f"1{text}")
    assert pixels_of(png).shape == (960, 1280, 3)
    if len(text) < 1000:
        assert place_of_text(png, "Legible.", size=22) or text.startswith("e")
    assert (answer("Headline", [text], version="1"))[:4] == b"\x89PNG"


def test_a_long_headline_leaves_room():
    """At most four lines of it."""
    png = answer("very " * 300, ["Reason."], version="1")
    assert text_at(png, "Reason.", size=22)[0] < 320


def test_the_same_arguments_give_the_same_bytes():
    """Nothing comes from the clock."""
    pages = [answer(HEADLINE, ["Reason."], version="1") for _ in range(2)]
    assert pages[0] == pages[1]
    assert np.any(pixels_of(pages[0]) != 16)
