"""Other names by which people and tools call a tissue."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from study.tissue import Tissue

SYNONYMS: Mapping[Tissue, frozenset[str]] = {
    Tissue.NECROSIS: frozenset(
        {
            "necrosis",
            "ncr",
            "net",
            "ncr net",
            "necrotic core",
            "necrotic tumor core",
            "necrotic tumour core",
            "necrotic",
            "non enhancing tumor core",
            "non enhancing tumour core",
            "non enhancing core",
            "nekrose",
            "necrose",
            "necrosi",
            "nekros",
        }
    ),
    Tissue.EDEMA: frozenset(
        {
            "edema",
            "oedema",
            "ed",
            "snfh",
            "peritumoral edema",
            "peritumoural oedema",
            "perilesional edema",
            "vasogenic edema",
            "flair hyperintensity",
            "oedeme",
            "oedeme perilesionnel",
            "odem",
            "oedem",
            "perifokales odem",
            "edeme",
        }
    ),
    Tissue.ENHANCING: frozenset(
        {
            "enhancing lesion",
            "et",
            "at",
            "enhancing tumor",
            "enhancing tumour",
            "enhancing",
            "enhancement",
            "contrast enhancing",
            "contrast enhancing lesion",
            "contrast enhancing tumor",
            "active tumor",
            "gd enhancing tumor",
        }
    ),
}
"""Other names of each tissue, as `canonical_label` spells them; no name stands for two."""


def canonical_label(label: str) -> str:
    """Lower case, without accents; anything but letters and digits becomes one space."""
    bare = unicodedata.normalize("NFKD", label)
    bare = "".join(c for c in bare if not unicodedata.combining(c))
    return " ".join(re.findall(r"[a-z0-9]+", bare.lower()))


def tissue_of_synonym(label: str) -> Tissue | None:
    """Tissue that a label names in other words, or None. Whole labels only, never parts."""
    name = canonical_label(label)
    return next((tissue for tissue, names in SYNONYMS.items() if name in names), None)
