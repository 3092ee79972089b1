"""DICOM TLS, with DCMTK and OpenSSL at the other end."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from dicom_network import dcmtk, storescp, wait_until
from small_dicom import make_instance, write_instance

from listener import scu
from listener.access import Access
from listener.scu import DeliveryError, Peer
from listener.tls import TlsFiles, client_context, server_context
from study.errors import RefusedError

# pynetdicom drops such sockets when the peer has hung up before.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("certificates") / "site")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("certificates") / "elsewhere")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> TlsFiles:
    return authority.sign("glioloop")


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> TlsFiles:
    return authority.sign("scanner")


def tls_options(files: TlsFiles) -> list[str]:
    """How DCMTK's programs are told of TLS."""
    return ["+tls", str(files.key), str(files.certificate), "+cf", str(files.authorities)]


def echo(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return dcmtk("echoscu", "-aet", "SCANNER", "-aec", "GLIOLOOP", *options, "127.0.0.1", str(port))


def handshake(port: int, files: TlsFiles | None, *options: str) -> str:
    """What OpenSSL's own client says of a connection."""
    shown = ["-cert", str(files.certificate), "-key", str(files.key)] if files else []
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *shown, *options],
        input="",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    ).stdout


def test_an_image_comes_over_tls_and_the_other_port_is_there_too(
    listen, ours: TlsFiles, theirs: TlsFiles, tmp_path: Path
) -> None:
    running = listen(tls=ours, tls_port=0)
    sent = write_instance(tmp_path / "out", make_instance())

    done = dcmtk(
        "storescu",
        *("-aet", "SCANNER", "-aec", "GLIOLOOP", *tls_options(theirs)),
        *("127.0.0.1", str(running.scp.tls_port), sent),
    )

    assert done.returncode == 0, done.stderr
    assert [entry.sop_instance_uid for entry in running.ledger] == ["1.2.3.4.1.1"]
    assert echo(running.port).returncode == 0


def test_the_port_without_tls_may_stay_closed(listen, ours: TlsFiles, theirs: TlsFiles) -> None:
    running = listen(tls=ours, tls_port=0, plain=False)

    assert running.port == 0
    assert echo(running.scp.tls_port, *tls_options(theirs)).returncode == 0


def test_who_is_not_trusted_is_refused_and_the_reason_logged(
    listen,
    authority: Authority,
    stranger: Authority,
    ours: TlsFiles,
    theirs: TlsFiles,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = listen(tls=ours, tls_port=0)
    port = running.scp.tls_port
    expired = authority.sign("expired", days=-1)
    unsigned = stranger.sign("unsigned")
    unsigned = TlsFiles(unsigned.certificate, unsigned.key, ours.authorities)

    assert echo(port, *tls_options(expired)).returncode != 0
    assert echo(port, *tls_options(unsigned)).returncode != 0
    assert echo(port).returncode != 0
    handshake(port, None)
    handshake(port, theirs, "-tls1_1", "-cipher", "ALL@SECLEVEL=0")

    said = [
        "TLS: its certificate is not accepted: certificate has expired",
        "TLS: its certificate is not accepted: unable to get local issuer certificate",
        "TLS: it does not speak TLS",
        "TLS: it showed no certificate",
        "TLS: it speaks only TLS versions before 1.2",
    ]
    for reason in said:
        assert wait_until(
            lambda why=reason: f"a connection from 127.0.0.1 was refused: {why}" in caplog.text
        ), reason
    assert echo(port, *tls_options(theirs)).returncode == 0


@pytest.mark.parametrize(
    ("options", "protocol", "cipher"),
    [
        (["-tls1_2"], "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        (["-tls1_3"], "TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384"], "", ""),
        (["-tls1_2", "-cipher", "ALL:!ECDHE"], "", ""),
    ],
)
def test_only_what_bcp_195_allows_is_negotiated(
    listen, ours: TlsFiles, theirs: TlsFiles, options: list[str], protocol: str, cipher: str
) -> None:
    running = listen(tls=ours, tls_port=0)

    found = handshake(running.scp.tls_port, theirs, *options)

    wanted = f"{protocol}, Cipher is {cipher}" if cipher else "Cipher is (NONE)"
    assert wanted in found


def test_a_title_may_be_bound_to_its_certificate(
    listen, authority: Authority, ours: TlsFiles, theirs: TlsFiles
) -> None:
    peers = {"SCANNER": Access(certificates=frozenset({"scanner.site"}))}
    running = listen(tls=ours, tls_port=0, peers=peers)
    other = authority.sign("other")

    assert echo(running.scp.tls_port, *tls_options(theirs)).returncode == 0
    refused = echo(running.scp.tls_port, *tls_options(other))
    assert "Calling AE Title Not Recognized" in refused.stderr
    assert "Calling AE Title Not Recognized" in echo(running.port).stderr


def test_a_silent_caller_keeps_nobody_out(listen, ours: TlsFiles, theirs: TlsFiles) -> None:
    import socket  # noqa: PLC0415

    running = listen(tls=ours, tls_port=0)
    with socket.create_connection(("127.0.0.1", running.scp.tls_port)):
        assert echo(running.scp.tls_port, *tls_options(theirs)).returncode == 0


@pytest.fixture
def destination(tmp_path: Path, free_port, theirs: TlsFiles) -> Iterator[tuple[int, Path]]:
    """DCMTK's storescp with TLS, and where it writes."""
    folder, port = tmp_path / "archive", free_port()
    folder.mkdir()
    with storescp(folder, port, *tls_options(theirs)):
        yield port, folder


def test_results_go_out_over_tls(
    destination: tuple[int, Path], ours: TlsFiles, tmp_path: Path
) -> None:
    port, folder = destination
    sent = write_instance(tmp_path / "out", make_instance())

    scu.store(Peer("ARCHIVE", "127.0.0.1", port, tls=ours), [sent])
    scu.store(Peer("ARCHIVE", "127.0.0.1", port, tls=ours, tls_name="scanner.site"), [sent])

    assert len(list(folder.iterdir())) == 1


def test_a_destination_that_is_not_the_one_is_not_sent_to(
    destination: tuple[int, Path], authority: Authority, ours: TlsFiles, stranger: Authority
) -> None:
    port, folder = destination
    foreign = TlsFiles(ours.certificate, ours.key, stranger.folder / "ca.pem")
    unsigned = stranger.sign("us")
    unknown = TlsFiles(unsigned.certificate, unsigned.key, ours.authorities)

    with pytest.raises(DeliveryError, match="over TLS: its certificate is not accepted: self-"):
        scu.echo(Peer("ARCHIVE", "127.0.0.1", port, tls=foreign))
    with pytest.raises(DeliveryError, match="over TLS: its certificate is not accepted: Hostname"):
        scu.echo(Peer("ARCHIVE", "127.0.0.1", port, tls=ours, tls_name="archive.site"))
    with pytest.raises(DeliveryError, match="over TLS: it does not know the authority that signed"):
        scu.echo(Peer("ARCHIVE", "127.0.0.1", port, tls=unknown))
    assert list(folder.iterdir()) == []


def test_a_destination_without_tls_is_said_to_be_so(listen, ours: TlsFiles) -> None:
    with pytest.raises(DeliveryError, match=r"over TLS: it does not speak TLS|does not answer"):
        scu.echo(Peer("GLIOLOOP", "127.0.0.1", listen().port, tls=ours))


def test_a_key_that_everybody_may_read_is_refused(authority: Authority) -> None:
    files = authority.sign("open")
    files.key.chmod(0o604)

    with pytest.raises(RefusedError, match="is open to everyone: chmod 600"):
        server_context(files)


def test_a_key_of_another_certificate_is_refused(ours: TlsFiles, theirs: TlsFiles) -> None:
    with pytest.raises(RefusedError, match="KEY_VALUES_MISMATCH; each must be a PEM file"):
        client_context(TlsFiles(ours.certificate, theirs.key, ours.authorities))


def test_a_missing_file_is_refused(ours: TlsFiles, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"TLS key .* cannot be read: FileNotFoundError"):
        server_context(TlsFiles(ours.certificate, tmp_path / "none", ours.authorities))
    with pytest.raises(RefusedError, match=r"TLS cannot start with .*: FileNotFoundError"):
        server_context(TlsFiles(ours.certificate, ours.key, tmp_path / "none"))


def test_nothing_before_tls_1_2_is_spoken(ours: TlsFiles) -> None:
    for context in (server_context(ours), client_context(ours)):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert client_context(ours).check_hostname
