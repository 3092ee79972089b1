"""Certificates for DICOM TLS on the loopback, made with OpenSSL's own program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from listener.tls import TlsFiles

EXTENSIONS = """
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[node]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:{name}.site, IP:127.0.0.1
"""


def openssl(folder: Path, command: str) -> None:
    """Run OpenSSL in a folder."""
    done = subprocess.run(
        ["openssl", *command.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Authority:
    """One that signs certificates, in a folder of its own."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        folder.mkdir(parents=True)
        (folder / "extensions").write_text(EXTENSIONS.format(name="authority"))
        openssl(folder, "ecparam -name prime256v1 -genkey -noout -out ca.key")
        openssl(folder, "req -new -key ca.key -subj /CN=authority -out ca.csr")
        openssl(
            folder,
            "x509 -req -in ca.csr -signkey ca.key -days 30 -out ca.pem"
            " -extfile extensions -extensions authority",
        )
        return cls(folder)

    def sign(self, name: str, days: int = 30) -> TlsFiles:
        """A certificate of ``name.site`` with its key."""
        folder = self.folder
        (folder / f"{name}.extensions").write_text(EXTENSIONS.format(name=name))
        openssl(folder, f"ecparam -name prime256v1 -genkey -noout -out {name}.key")
        openssl(folder, f"req -new -key {name}.key -subj /CN={name} -out {name}.csr")
        openssl(
            folder,
            f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days}"
            f" -out {name}.pem -extfile {name}.extensions -extensions node",
        )
        (folder / f"{name}.key").chmod(0o600)
        return TlsFiles(folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem")
