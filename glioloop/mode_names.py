"""Names of the modes of inference, for who need not load a network to know them."""

from __future__ import annotations

from typing import Literal

ModeName = Literal["fast", "standard", "quality"]
"""What each is made of stands in `glioloop.modes`."""
