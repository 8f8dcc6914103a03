# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Checksum files, and the record that spares reading large files again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes import digests
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.digests import (
    ChecksumError,
    DigestRecord,
    checksum_for,
    parse_checksums,
)

A = hashlib.sha256(b"a").hexdigest()
B = hashlib.sha256(b"b").hexdigest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (A, {"": A}),
        (f"{A}\n", {"": A}),
        (f"{A.upper()}  etcd.tar.gz\n", {"etcd.tar.gz": A}),
        (f"# comment\n{A} *./etcd\n\n{B}  etcdctl\n", {"etcd": A, "etcdctl": B}),
    ],
)
def test_checksum_files(text: str, expected: dict[str, str]) -> None:
    assert parse_checksums(text, "there") == expected


@pytest.mark.parametrize("text", ["", "<html>Not found</html>", f"{A[:-1]}  short"])
def test_what_is_no_checksum_file(text: str) -> None:
    with pytest.raises(ChecksumError, match="there"):
        parse_checksums(text, "there")


def test_checksum_of_one_file() -> None:
    assert checksum_for(f"{A}  x\n{B}  y\n", "y", "there") == B
    assert checksum_for(A, "anything", "there") == A
    with pytest.raises(ChecksumError, match="does not name z"):
        checksum_for(f"{A}  x\n", "z", "there")


def test_an_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, place = tmp_path / "f", tmp_path / "state" / "record.json"
    file.write_bytes(b"a")
    record = DigestRecord.load(place)
    assert record.digest(str(file)) == A
    record.note(str(file), A)
    record.save()
    again = DigestRecord.load(place)
    monkeypatch.setattr(digests, "sha256_of", lambda _path: "read again")
    assert again.digest(str(file)) == A
    file.write_bytes(b"bb")
    assert again.digest(str(file)) == "read again"
    assert again.digest(str(tmp_path / "absent")) is None


def test_remembers_which_files_are_ours(tmp_path: Path) -> None:
    file, place = tmp_path / "f", tmp_path / "record.json"
    file.write_bytes(b"a")
    record = DigestRecord.load(place)
    record.note(str(file), A)
    assert not record.is_ours(str(file))
    record.announce(str(file))
    record.note(str(file), A)
    record.save()
    assert DigestRecord.load(place).is_ours(str(file))
    record.forget(str(file))
    record.save()
    assert not place.exists()


def test_a_damaged_record_is_an_empty_one(tmp_path: Path) -> None:
    place = tmp_path / "record.json"
    place.write_text("{ half", encoding="utf-8")
    assert DigestRecord.load(place).files == {}
