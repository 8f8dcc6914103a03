# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Who may log in over WinRM, and the certificates by which it is known: a CA of the lab, and one for each machine."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USER = "Administrator"
_DAYS = datetime.timedelta(days=365)


def ensure(folder: Path, name: str, addresses: list[str]) -> tuple[Path, Path]:
    """Have `ca.crt`, `password` and `accounts` in a folder; the certificate and key of one machine."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = folder / "password"
    if not password.exists():
        _write(password, secrets.token_urlsafe(18).encode())
    _write(
        folder / "accounts", f"{name.upper()}:{USER}:{password.read_text()}\n:{USER}:{password.read_text()}\n".encode()
    )
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    if not certificate.exists():
        authority, authority_key = _authority(folder)
        own = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        made = (
            _builder(name, authority.subject, own)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_names_key(authority_key), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        _write(key, _pem(own))
        _write(certificate, made.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate, key = folder / "ca.crt", folder / "ca.key"
    if not certificate.exists():
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab WinRM CA")])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        made = (
            _builder("lab WinRM CA", subject, own)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .sign(own, hashes.SHA256())
        )
        _write(key, _pem(own))
        _write(certificate, made.public_bytes(serialization.Encoding.PEM))
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(certificate.read_bytes()), loaded


def _builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _DAYS)
    )


def _names_key(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _write(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
