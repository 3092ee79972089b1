"""``glioloop`` whose gate lets every fitted head through.

Whether a head is better than the base head depends on the model that is shipped; that the loop
closes must not. The gate itself is tested in tests/engine, and `glioloop demo` runs with it. Fits
are made in a spawned child, which imports this script again.
"""

from __future__ import annotations


def open_gate() -> None:
    """Nothing is held against a fit, or against the head in use."""
    from engine import adapt  # noqa: PLC0415
    from glioloop import learning  # noqa: PLC0415

    adapt.objection = lambda *_: None
    adapt.replay_objection = lambda *_: None
    learning.regression = lambda *_: None


if __name__ == "__main__":
    from glioloop.cli import main

    main()
else:
    open_gate()
