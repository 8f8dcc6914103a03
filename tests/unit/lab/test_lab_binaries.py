# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Released programs are used only with the checksum that their project publishes; otherwise they are built."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lab import binaries
from lab.settings import LabError


class Release:
    """Release servers that have a few files."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def urlopen(self, url: str, timeout: float) -> io.BytesIO:
        if url not in self.files:
            raise urllib.error.URLError("no route to host")
        return io.BytesIO(self.files[url])


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Release:
    release = Release()
    monkeypatch.setattr(urllib.request, "urlopen", release.urlopen)
    return release


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def offer_kubernetes(release: Release) -> None:
    for name in binaries.KUBERNETES.programs:
        url = f"https://dl.k8s.io/v{binaries.KUBERNETES.version}/bin/linux/amd64/{name}"
        release.files[url] = name.encode()
        release.files[f"{url}.sha256"] = sha256(name.encode()).encode()


def test_single_programs(release: Release, tmp_path: Path) -> None:
    offer_kubernetes(release)
    binaries._download(binaries.KUBERNETES, "amd64", tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {name: name for name in binaries.KUBERNETES.programs}


def test_wrong_checksum_is_refused(release: Release, tmp_path: Path) -> None:
    offer_kubernetes(release)
    url = next(url for url in release.files if url.endswith("/kubelet"))
    release.files[url] = b"something else"
    with pytest.raises(LabError, match="kubelet has the SHA-256"):
        binaries._download(binaries.KUBERNETES, "amd64", tmp_path)


def test_archive(release: Release, tmp_path: Path) -> None:
    version = binaries.ETCD.version
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as members:
        for name in ("etcd", "etcdctl", "README.md"):
            member = tarfile.TarInfo(f"etcd-v{version}-linux-amd64/{name}")
            member.size = len(name)
            members.addfile(member, io.BytesIO(name.encode()))
    base = f"https://github.com/etcd-io/etcd/releases/download/v{version}"
    file = f"etcd-v{version}-linux-amd64.tar.gz"
    release.files[f"{base}/{file}"] = archive.getvalue()
    release.files[f"{base}/SHA256SUMS"] = f"{'0' * 64}  other\n{sha256(archive.getvalue())}  {file}\n".encode()
    folder = tmp_path / "content"
    folder.mkdir()
    binaries._download(binaries.ETCD, "amd64", folder)
    assert sorted(p.name for p in folder.iterdir()) == ["etcd", "etcdctl"]


def test_no_answer_is_an_error_that_leads_to_building(release: Release, tmp_path: Path) -> None:
    for project in binaries.PROJECTS:
        with pytest.raises(urllib.error.URLError):
            binaries._download(project, "amd64", tmp_path)
