# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pod images without a registry: the program netcheck, packed as ``ctr image import`` takes them.

Format: the docker-archive of the OCI image tools, one layer, deterministic.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from . import golang
from .cache import Cache
from .settings import TREE, Settings

IMAGES = {
    "netcheck": {"Entrypoint": ["/bin/netcheck"], "Cmd": ["serve"]},
    "pause": {"Entrypoint": ["/bin/netcheck", "pause"]},
}
"""Image localhost/NAME:1, in the file NAME.tar, and what it runs."""

CREATED = "2024-01-01T00:00:00Z"


def ensure(settings: Settings, cache: Cache) -> Path:
    """Folder with the archives, and the program itself."""
    return cache.entry(
        "images",
        "pod images",
        [settings.architecture, TREE / "images", Path(__file__)],
        lambda folder: _make(settings, cache, folder),
    )


def _make(settings: Settings, cache: Cache, folder: Path) -> None:
    program = folder / "netcheck"
    golang.build(golang.ensure(settings, cache), TREE / "images/netcheck", program, ".")
    layer = _tar(
        [(name, None) for name in ("bin", "dev", "etc", "proc", "run", "sys", "tmp", "var")]
        + [("bin/netcheck", program.read_bytes()), ("etc/passwd", b"root:x:0:0:root:/:/bin/netcheck\n")]
    )
    for name, start in IMAGES.items():
        (folder / f"{name}.tar").write_bytes(image(f"localhost/{name}:1", start, layer, settings.architecture))


def image(name: str, start: dict[str, list[str]], layer: bytes, architecture: str) -> bytes:
    """A docker-archive of one image with one layer (a tar)."""
    digest = hashlib.sha256(layer).hexdigest()
    configuration = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "created": CREATED,
            "config": {**start, "Env": ["PATH=/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": CREATED, "created_by": "ovn-k8s lab"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    return _tar(
        [
            (config_name, configuration),
            (f"{digest}/layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ]
    )


def _tar(members: list[tuple[str, bytes | None]]) -> bytes:
    """A tar of files (all executable) and folders (no content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
                archive.addfile(member)
            else:
                member.size, member.mode = len(content), 0o755
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
