"""Who may call from where."""

from __future__ import annotations

import pytest

from listener.access import Access
from study.errors import RefusedError


def test_a_name_is_no_address() -> None:
    with pytest.raises(RefusedError, match=r"'pacs.local' is neither an IP address nor a network"):
        Access(frozenset({"pacs.local"}))


@pytest.mark.parametrize(
    ("address", "known"), [("10.1.2.77", True), ("::ffff:10.1.2.77", True), ("10.1.3.77", False)]
)
def test_a_network_stands_for_its_addresses(address: str, known: bool) -> None:
    assert Access(frozenset({"10.1.2.0/24"})).covers(address) is known


@pytest.mark.parametrize(
    ("names", "trusted"), [({"scanner.site"}, True), ({"other.site"}, False), (set(), False)]
)
def test_a_title_may_be_bound_to_a_certificate(names: set[str], trusted: bool) -> None:
    assert Access(certificates=frozenset({"scanner.site"})).trusts(names) is trusted
    assert Access().trusts(names)
