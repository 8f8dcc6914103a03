# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A folder of executables filled from release addresses."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import IO

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.digests import parse_checksums
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.releases import (
    Artifact,
    ReleaseError,
    fetch,
    locked,
    missing,
)


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


KUBECTL = b"kubectl itself"
ETCD = archive({"etcd-v1/etcd": b"etcd itself", "etcd-v1/README": b"no"})
SITE = {
    "https://k/kubectl": KUBECTL,
    "https://k/kubectl.sha256": digest(KUBECTL).encode(),
    "https://e/etcd.tar.gz": ETCD,
    "https://e/SHA256SUMS": f"{digest(b'x')}  other.tar.gz\n{digest(ETCD)}  etcd.tar.gz\n".encode(),
    "https://k/wrong": b"not what was promised",
    "https://k/wrong.sha256": digest(b"promised").encode(),
}
PLAIN = Artifact("https://k/kubectl", "https://k/kubectl.sha256", name="kubectl")
PACKED = Artifact("https://e/etcd.tar.gz", "https://e/SHA256SUMS", members={"etcd": "etcd-v1/etcd"})


def download(address: str, stream: IO[bytes]) -> None:
    if address not in SITE:
        raise OSError("HTTP Error 404: Not Found")
    stream.write(SITE[address])


def test_fills_the_folder_and_asks_no_second_time(tmp_path: Path) -> None:
    with locked(tmp_path):
        for artifact in missing(tmp_path, [PLAIN, PACKED]):
            fetch(tmp_path, artifact, download)
    assert (tmp_path / "kubectl").read_bytes() == KUBECTL
    assert (tmp_path / "etcd").read_bytes() == b"etcd itself"
    assert (tmp_path / "etcd").stat().st_mode & 0o777 == 0o755
    sums = parse_checksums((tmp_path / "SHA256SUMS").read_text(encoding="utf-8"), "SHA256SUMS")
    assert sums == {"kubectl": digest(KUBECTL), "etcd": digest(b"etcd itself")}
    assert missing(tmp_path, [PLAIN, PACKED]) == []


def test_a_file_without_its_checksum_line_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_bytes(b"half of i")
    assert missing(tmp_path, [PLAIN]) == [PLAIN]


def test_keeps_nothing_of_a_wrong_file(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"https://k/wrong has the SHA-256 digest .* says"):
        fetch(tmp_path, Artifact("https://k/wrong", "https://k/wrong.sha256", name="wrong"), download)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("artifact", "words"),
    [
        (Artifact("https://k/none", "https://k/none.sha256", name="none"), "none.sha256 could not be downloaded"),
        (Artifact("https://k/kubectl", "https://e/SHA256SUMS", name="kubectl"), "does not name kubectl"),
        (Artifact("https://e/etcd.tar.gz", "https://e/SHA256SUMS", members={"x": "etcd-v1/x"}), "cannot be unpacked"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, artifact: Artifact, words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        fetch(tmp_path, artifact, download)
