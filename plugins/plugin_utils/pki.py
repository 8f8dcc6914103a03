# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Authorities, certificates and key pairs in a directory: what is missing or no longer right is made anew.

Keys are EC P-256 in PKCS #8, certificates X.509 v3 in PEM. A certificate is made anew, with a fresh key, when its
names, its usages or its organisations are not the wanted ones, when its authority did not sign it, when its key does
not fit, or when it has less than `renew_before` left. An authority that is about to expire gets a new certificate for
its old key, so what it has signed stays valid.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USAGES = {"client": ExtendedKeyUsageOID.CLIENT_AUTH, "server": ExtendedKeyUsageOID.SERVER_AUTH}
CLOCK_SKEW = timedelta(hours=1)
"""Certificates are valid from an hour ago, for hosts whose clocks are behind."""


class PkiError(Exception):
    """A wish that cannot be carried out, or a directory that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Authority:
    name: str
    common_name: str
    valid_days: int = 3650


@dataclass(frozen=True)
class Certificate:
    """`name` is the path below the directory, without suffix."""

    name: str
    authority: str
    common_name: str
    organizations: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    usages: tuple[str, ...] = ("client",)
    valid_days: int = 365


@dataclass(frozen=True)
class Made:
    """Something that was made, or has to be; `reason` is for people."""

    path: str
    reason: str


class Store:
    """The directory of one cluster's keys and certificates. With `dry` nothing is written."""

    def __init__(self, directory: Path, *, renew_before: timedelta, dry: bool, now: datetime | None = None) -> None:
        self.directory = directory
        self.renew_before = renew_before
        self.dry = dry
        self.now = now or datetime.now(UTC)
        self.made: list[Made] = []
        self._authorities: dict[str, tuple[ec.EllipticCurvePrivateKey, x509.Certificate]] = {}

    def ensure(
        self, authorities: Sequence[Authority], certificates: Sequence[Certificate], key_pairs: Sequence[str]
    ) -> list[Made]:
        """Make everything that is missing or wrong; returns what that was."""
        known = {authority.name for authority in authorities}
        for wanted in certificates:
            if wanted.authority not in known:
                raise PkiError(
                    f"certificate {wanted.name} wants authority {wanted.authority!r}, which is not in the list"
                )
            unknown = sorted(set(wanted.usages) - set(USAGES))
            if unknown or not wanted.usages:
                raise PkiError(f"certificate {wanted.name}: usages are client and server, not {unknown or 'none'}")
        if not self.dry:
            _private_directory(self.directory)
        for authority in authorities:
            self._authority(authority)
        for wanted in certificates:
            self._certificate(wanted)
        for name in key_pairs:
            self._key_pair(name)
        return self.made

    def _authority(self, wanted: Authority) -> None:
        key_path, certificate_path = self._paths(wanted.name)
        has_key, has_certificate = key_path.exists(), certificate_path.exists()
        if has_certificate and not has_key:
            raise PkiError(
                f"{key_path} is missing while {certificate_path} is there: without its key the authority "
                "can sign nothing; "
                "put the key back, or remove the certificate too to begin with a new authority (every host gets new "
                "certificates then)"
            )
        key = _load_key(key_path) if has_key else ec.generate_private_key(ec.SECP256R1())
        certificate = _load_certificate(certificate_path) if has_certificate else None
        reason = self._authority_problem(wanted, key, certificate)
        if reason or certificate is None:
            certificate = self._sign_authority(wanted, key)
            self._write(key_path, _key_pem(key), certificate_path, _pem(certificate), reason or "missing")
        self._authorities[wanted.name] = (key, certificate)

    def _authority_problem(
        self, wanted: Authority, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate | None
    ) -> str:
        if certificate is None:
            return "missing"
        if not _fits(key, certificate):
            raise PkiError(
                f"{self.directory / wanted.name}.key does not belong to {wanted.name}.crt beside it; put "
                "the right pair there"
            )
        return self._expiry_problem(certificate)

    def _certificate(self, wanted: Certificate) -> None:
        key_path, certificate_path = self._paths(wanted.name)
        reason = self._certificate_problem(wanted, key_path, certificate_path)
        if reason:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._sign(wanted, key)
            self._write(key_path, _key_pem(key), certificate_path, _pem(certificate), reason)

    def _certificate_problem(self, wanted: Certificate, key_path: Path, certificate_path: Path) -> str:
        if not key_path.exists() or not certificate_path.exists():
            return "missing"
        try:
            key, certificate = _load_key(key_path), _load_certificate(certificate_path)
        except PkiError:
            return "unreadable"
        authority_key, authority = self._authorities[wanted.authority]
        differs = {
            "key and certificate do not fit": not _fits(key, certificate),
            "signed by another authority": certificate.issuer != authority.subject
            or not _signed_by(certificate, authority_key),
            "other subject": certificate.subject != _subject(wanted.common_name, wanted.organizations),
            "other names": _names(certificate) != _wanted_names(wanted),
            "other usages": _usages(certificate) != set(wanted.usages),
        }
        return next((reason for reason, wrong in differs.items() if wrong), "") or self._expiry_problem(certificate)

    def _expiry_problem(self, certificate: x509.Certificate) -> str:
        until = certificate.not_valid_after_utc
        return f"expires {until:%Y-%m-%d}" if until - self.now < self.renew_before else ""

    def _key_pair(self, name: str) -> None:
        private_path, public_path = self.directory / f"{name}.key", self.directory / f"{name}.pub"
        key = _load_key(private_path) if private_path.exists() else ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if not private_path.exists() or not public_path.exists() or public_path.read_bytes() != public:
            self._write(private_path, _key_pem(key), public_path, public, "missing")

    def _sign_authority(self, wanted: Authority, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        subject = _subject(wanted.common_name, ())
        usage = _key_usage(signs_certificates=True)
        builder = self._builder(subject, subject, key.public_key(), wanted.valid_days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())

    def _sign(self, wanted: Certificate, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        authority_key, authority = self._authorities[wanted.authority]
        builder = self._builder(
            _subject(wanted.common_name, wanted.organizations), authority.subject, key.public_key(), wanted.valid_days
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([USAGES[usage] for usage in sorted(wanted.usages)]), critical=False
        )
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(wanted.dns_names)]
        names += [x509.IPAddress(ip_address(address)) for address in dict.fromkeys(wanted.ip_addresses)]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - CLOCK_SKEW)
            .not_valid_after(self.now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self.directory / f"{name}.key", self.directory / f"{name}.crt"

    def _write(self, private: Path, private_pem: bytes, public: Path, public_pem: bytes, reason: str) -> None:
        self.made.append(Made(str(public), reason))
        if self.dry:
            return
        _private_directory(private.parent)
        _replace(private, private_pem, 0o600)
        _replace(public, public_pem, 0o644)


def _private_directory(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise PkiError(
            f"{path} cannot be made or is not ours: {error}; set ovn_k8s_pki_dir to a directory of yours"
        ) from error


def _replace(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, OSError) as error:
        raise PkiError(
            f"{path} cannot be read as a private key: {error}; put the right file back or remove it"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError(f"{path} is no EC key; remove it to have one made")
    return key


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (ValueError, OSError) as error:
        raise PkiError(
            f"{path} cannot be read as a certificate: {error}; put the right file back or remove it"
        ) from None


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _fits(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bool:
    return certificate.public_key() == key.public_key()


def _signed_by(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    try:
        key.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    try:
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in sorted(organizations)]
        return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    except ValueError as error:
        raise PkiError(f"common name {common_name!r} cannot be used: {error}; at most 64 characters") from None


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in found.value}


def _wanted_names(wanted: Certificate) -> set[str]:
    return {*wanted.dns_names, *(str(ip_address(address)) for address in wanted.ip_addresses)}


def _usages(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return set()
    return {name for name, oid in USAGES.items() if oid in found.value}


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
