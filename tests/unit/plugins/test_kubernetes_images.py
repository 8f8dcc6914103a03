# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Names of images, and of those in an archive."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.kubernetes.images import (
    ImageArchiveError,
    image_names,
    normalise,
)


def archive(path: Path, members: dict[str, object]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            data = json.dumps(content).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("someone/thing", "docker.io/someone/thing:latest"),
        ("localhost/pause:1", "localhost/pause:1"),
        ("localhost:5000/pause", "localhost:5000/pause:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("registry.k8s.io/pause@sha256:ab", "registry.k8s.io/pause@sha256:ab"),
    ],
)
def test_normalise(given: str, expected: str) -> None:
    assert normalise(given) == expected


def test_docker_layout(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", {"manifest.json": [{"Config": "c", "RepoTags": ["busybox:1", "localhost/x:1"]}]})
    assert image_names(path) == ["docker.io/library/busybox:1", "localhost/x:1"]


def test_oci_layout(tmp_path: Path) -> None:
    index = {"manifests": [{"annotations": {"io.containerd.image.name": "localhost/y:2"}}, {"digest": "sha256:1"}]}
    assert image_names(archive(tmp_path / "a.tar", {"index.json": index})) == ["localhost/y:2"]


@pytest.mark.parametrize("members", [{}, {"manifest.json": [{"RepoTags": None}]}, {"index.json": {"manifests": []}}])
def test_no_names(tmp_path: Path, members: dict[str, object]) -> None:
    with pytest.raises(ImageArchiveError, match="no named image"):
        image_names(archive(tmp_path / "a.tar", members))


def test_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_text("no", encoding="utf-8")
    with pytest.raises(ImageArchiveError, match="cannot be read"):
        image_names(tmp_path / "a.tar")
