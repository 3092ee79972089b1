"""Who may use the web page and the interface."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_schema import kind, parsed
from web_site import WebSite, open_web

from glioloop import settings
from glioloop.site import Site, open_site
from glioloop.web import application
from glioloop.web_access import Sessions, is_loopback, tokens
from study.errors import RefusedError

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105
OTHER = "fedcba9876543210fedcba9876543210"
PAGE = {"accept": "text/html"}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def audited(site: Site) -> list[tuple[str, str, str, str]]:
    """Kind of each message, and who is named first."""
    found = [parsed(line) for path in site.audit.files() for line in path.read_bytes().splitlines()]
    return [(*kind(one), one[1].attrib["UserID"]) for one in found]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebSite]:
    file = tmp_path / "tokens"
    file.write_text(f"# who may\nalice {TOKEN}\northanc {OTHER}\n")
    file.chmod(0o600)
    with open_web(tmp_path / "data", tokens_file=file) as found:
        yield found


@pytest.mark.parametrize("path", ["/", "/api/v1/status", "/api/v1/studies", "/desk/", "/page.js"])
def test_nothing_is_shown_without_a_token(web: WebSite, path: str) -> None:
    answer = web.client.get(path)

    assert answer.status_code == 401
    assert answer.json() == {"error": "a token is needed"}
    assert answer.headers["www-authenticate"] == "Bearer"


def test_nothing_is_done_without_a_token(web: WebSite) -> None:
    answer = web.client.post("/api/v1/studies/1.2/instances", json={"instances": ["1.1"]})

    assert answer.status_code == 401
    assert web.woken == []


def test_health_needs_none(web: WebSite) -> None:
    assert web.client.get("/health").json() == {"status": "ok"}


def test_who_shows_a_token_is_let_in(web: WebSite) -> None:
    for token in (TOKEN, OTHER):
        answer = web.client.get("/api/v1/status", headers=bearer(token))
        assert answer.status_code == 200


@pytest.mark.parametrize("token", ["x", "wrong", TOKEN[:-1], TOKEN + "0", "\u00e9" * 32])
def test_a_wrong_token_is_refused_and_audited(web: WebSite, token: str) -> None:
    headers = {"authorization": f"Bearer {token}".encode()}
    answer = web.client.get("/api/v1/status", headers=headers)

    assert answer.status_code == 401
    assert audited(web.site) == [("User Authentication", "Login", "4", "unknown")]


def test_who_tries_many_is_told_to_wait(web: WebSite) -> None:
    codes = [
        web.client.get("/api/v1/status", headers=bearer(str(n))).status_code for n in range(22)
    ]

    assert codes[:20] == [401] * 20
    assert codes[-1] == 429
    assert web.client.get("/api/v1/status", headers=bearer(TOKEN)).status_code == 200


def test_a_person_logs_in_and_out(web: WebSite) -> None:
    sent = web.client.get("/", headers=PAGE)
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")
    assert "<form" in web.client.get("/login").text
    wrong = web.client.post("/login", data={"token": "wrong"})
    assert (wrong.status_code, "that token is not known" in wrong.text) == (401, True)

    well = web.client.post("/login", data={"token": TOKEN})

    assert (well.status_code, well.headers["location"]) == (303, "/")
    cookie = well.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert "<h1>Glioloop" in web.client.get("/", headers=PAGE).text
    assert audited(web.site)[-1] == ("User Authentication", "Login", "0", "alice")

    web.client.post("/logout")
    assert web.client.get("/api/v1/status").status_code == 401


def test_a_page_of_elsewhere_cannot_use_a_session(web: WebSite) -> None:
    web.client.post("/login", data={"token": TOKEN})

    answer = web.client.post(
        "/decide",
        data={"uid": "1.2", "decision": "segment"},
        headers={"origin": "https://evil.site"},
    )

    assert answer.status_code == 403


def test_without_tokens_this_machine_is_let_in(tmp_path: Path) -> None:
    with open_web(tmp_path) as found:
        assert found.client.get("/api/v1/status").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "glioloop.site"])  # noqa: S104
def test_elsewhere_than_on_loopback_a_token_is_needed(host: str) -> None:
    with pytest.raises(RefusedError, match=r"which other machines reach, and there is no token"):
        tokens(settings.load(web={"host": host}).web)
    assert tokens(settings.load(web={"host": host, "token": TOKEN}).web) == {"token": TOKEN}


def test_the_interface_does_not_even_begin_without_one(tmp_path: Path) -> None:
    site = open_site(settings.load(data=tmp_path, web={"host": "0.0.0.0"}))  # noqa: S104
    with pytest.raises(RefusedError, match="which other machines reach"):
        application(site, lambda: None)
    site.ledger.close()
    site.models.close()


def test_loopback_has_several_names() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))


def test_a_short_token_is_refused_without_showing_it() -> None:
    with pytest.raises(RefusedError, match="'token' has 5 characters; 20 are the least") as caught:
        tokens(settings.load(web={"token": "short"}).web)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (f"alice {TOKEN}", 0o604, "is open to everyone: chmod 600"),
        (f"alice bob {TOKEN}", 0o600, "a line holds a name and a token"),
        ("\udcff", 0o600, r"cannot be read \(UnicodeDecodeError\)"),
    ],
)
def test_a_file_that_is_not_right_is_refused(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    file.chmod(mode)

    with pytest.raises(RefusedError, match=said) as caught:
        tokens(settings.load(web={"tokens_file": file}).web)
    assert TOKEN not in str(caught.value)


def test_a_session_ends() -> None:
    now = [0.0]
    sessions = Sessions({"alice": TOKEN}, 10, lambda: now[0])
    cookie = sessions.begin("alice")

    assert sessions.user(cookie) == "alice"
    assert sessions.user("other") is None
    now[0] = 10.0
    assert sessions.user(cookie) is None


def test_the_token_is_masked_where_settings_are_shown() -> None:
    assert TOKEN not in repr(settings.load(web={"token": TOKEN}))
