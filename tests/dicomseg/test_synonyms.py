from __future__ import annotations

from itertools import combinations

import pytest

from dicomseg.synonyms import SYNONYMS, canonical_label, tissue_of_synonym
from study.tissue import Tissue


def test_no_synonym_stands_for_two_tissues():
    """Each list is spelled canonically, and they share no name."""
    for names in SYNONYMS.values():
        assert {canonical_label(name) for name in names} == set(names)
    for a, b in combinations(SYNONYMS.values(), 2):
        assert not a & b


@pytest.mark.parametrize(
    ("label", "tissue"),
    [
        ("Enhancing tumour", Tissue.ENHANCING),
        ("ET", Tissue.ENHANCING),
        ("NCR/NET", Tissue.NECROSIS),
        ("Necrotic core", Tissue.NECROSIS),
        ("Œdème", None),
        ("œdème", None),
        ("Oedème périlésionnel", Tissue.EDEMA),
        ("  FLAIR   hyperintensity ", Tissue.EDEMA),
        ("SNFH", Tissue.EDEMA),
        ("Segment 2", None),
        ("non-enhancing", None),
        ("Whole tumor", None),
        ("", None),
    ],
)
def test_labels_in_other_words(label, tissue):
    """Whole labels are compared, never parts of them."""
    assert tissue_of_synonym(label) == tissue
