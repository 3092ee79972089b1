"""Read every file of the table of corrections, and write it into docs/corrections.md."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from viewers.table import CHECKOUT, PAGE, document


def main() -> int:
    """Run the tests, OHIF's and those on real data too; write the page if all of them pass."""
    tests = [str(CHECKOUT / "tests" / "dicomseg" / "test_corrections.py"), "-k", "test_what"]
    # An expectation that was not looked at is not written down as seen.
    found = _Counted()
    code = pytest.main([*tests, "-m", "viewers or not viewers", "-q"], plugins=[found])
    if code or found.skipped:
        sys.stderr.write("not written: every file must be read as it is expected, none skipped\n")
        return int(code) or 1
    PAGE.write_text(document(), encoding="utf-8")
    return 0


class _Counted:
    """A pytest plug-in that counts what is skipped."""

    def __init__(self) -> None:
        self.skipped = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """As pytest calls it."""
        self.skipped += report.skipped


if __name__ == "__main__":
    sys.exit(main())
