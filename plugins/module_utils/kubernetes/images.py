# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The image names that an archive of `docker save`, `ctr images export` or a build tool carries."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

_OCI_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class ImageArchiveError(ValueError):
    """An archive that cannot be used; the message names the file and the reason."""


def normalise(reference: str) -> str:
    """An image reference as containerd stores it: with its registry, its repository and a tag or digest.

    >>> normalise("busybox")
    'docker.io/library/busybox:latest'
    """
    first, slash, _rest = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif not ("." in first or ":" in first or first == "localhost"):
        reference = f"docker.io/{reference}"
    last = reference.rsplit("/", 1)[-1]
    return reference if "@" in reference or ":" in last else f"{reference}:latest"


def _read_json(archive: tarfile.TarFile, name: str) -> Any:
    try:
        stream = archive.extractfile(name)
    except KeyError:
        return None
    return json.load(stream) if stream else None


def image_names(path: str | Path) -> list[str]:
    """The normalised names of the images in a tar archive in Docker's or OCI's layout.

    Raises ImageArchiveError when there are none.
    """
    try:
        with tarfile.open(path) as archive:
            docker = _read_json(archive, "manifest.json") or []
            oci = _read_json(archive, "index.json") or {}
    except (OSError, tarfile.TarError, ValueError) as error:
        raise ImageArchiveError(f"{path} cannot be read as an image archive: {error}") from error
    names = [tag for image in docker for tag in image.get("RepoTags") or []]
    if not names:
        annotations = [manifest.get("annotations") or {} for manifest in oci.get("manifests", [])]
        names = [name for item in annotations for name in [next((item[k] for k in _OCI_NAMES if k in item), "")]]
    found = sorted({normalise(name) for name in names if name})
    if not found:
        raise ImageArchiveError(f"{path} has no named image in it (neither RepoTags nor an OCI image name)")
    return found
