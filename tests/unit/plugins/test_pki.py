# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Keys and certificates: made once, and made anew exactly when they have to be."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.pki import Authority, Certificate, PkiError, Store
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

CA = Authority("ca", "Test authority")
SERVER = Certificate(
    "hosts/n1/server",
    "ca",
    "n1",
    organizations=("system:nodes",),
    dns_names=("n1",),
    ip_addresses=("192.0.2.1",),
    usages=("client", "server"),
)


def ensure(
    directory: Path, *certificates: Certificate, dry: bool = False, days: int = 0, authority: Authority = CA
) -> list[str]:
    now = datetime.now(UTC) + timedelta(days=days)
    store = Store(directory, renew_before=timedelta(days=30), dry=dry, now=now)
    return [made.reason for made in store.ensure([authority], certificates, ["service-account"])]


def test_a_second_run_makes_nothing(tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    assert ensure(pki, SERVER, dry=True) == ["missing"] * 3 and not pki.exists()
    assert ensure(pki, SERVER) == ["missing"] * 3
    assert ensure(pki, SERVER) == []
    assert pki.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in pki.rglob("*.key")} == {0o600}


def test_what_a_certificate_says(tmp_path: Path) -> None:
    ensure(tmp_path, SERVER)
    certificate = x509.load_pem_x509_certificate((tmp_path / "hosts/n1/server.crt").read_bytes())
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    certificate.verify_directly_issued_by(authority)
    assert certificate.subject.rfc4514_string() == "CN=n1,O=system:nodes"
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"common_name": "n2"}, "other subject"),
        ({"organizations": ()}, "other subject"),
        ({"dns_names": ("n1", "n1.example.com")}, "other names"),
        ({"ip_addresses": ()}, "other names"),
        ({"usages": ("client",)}, "other usages"),
    ],
)
def test_a_wish_that_changed_makes_a_new_certificate(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    ensure(tmp_path, SERVER)
    assert ensure(tmp_path, dataclasses.replace(SERVER, **change)) == [reason]  # type: ignore[arg-type]


def test_certificates_are_renewed_before_they_expire(tmp_path: Path) -> None:
    ensure(tmp_path, SERVER)
    assert ensure(tmp_path, SERVER, days=330) == []
    (reason,) = ensure(tmp_path, SERVER, days=340)
    assert reason.startswith("expires ")


def test_an_authority_keeps_its_key(tmp_path: Path) -> None:
    ensure(tmp_path, dataclasses.replace(SERVER, valid_days=8000))
    key = (tmp_path / "ca.key").read_bytes()
    (reason,) = ensure(tmp_path, SERVER, days=3640)
    assert reason.startswith("expires ") and (tmp_path / "ca.key").read_bytes() == key


def test_another_authority_makes_all_anew(tmp_path: Path) -> None:
    ensure(tmp_path, SERVER)
    for name in ("ca.key", "ca.crt"):
        (tmp_path / name).unlink()
    assert ensure(tmp_path, SERVER) == ["missing", "signed by another authority"]


def test_damage_is_repaired_or_told(tmp_path: Path) -> None:
    ensure(tmp_path, SERVER)
    (tmp_path / "hosts/n1/server.key").write_text("rubbish")
    assert ensure(tmp_path, SERVER) == ["unreadable"]
    (tmp_path / "service-account.pub").unlink()
    assert ensure(tmp_path, SERVER) == ["missing"]
    (tmp_path / "ca.key").unlink()
    with pytest.raises(PkiError, match=r"ca.key is missing"):
        ensure(tmp_path, SERVER)


def test_impossible_wishes(tmp_path: Path) -> None:
    with pytest.raises(PkiError, match="not in the list"):
        ensure(tmp_path, dataclasses.replace(SERVER, authority="other"))
    with pytest.raises(PkiError, match="at most 64"):
        ensure(tmp_path, dataclasses.replace(SERVER, common_name="n" * 65))
