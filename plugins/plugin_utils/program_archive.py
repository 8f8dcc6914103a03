# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The programs of this collection as one archive, the same bytes from the same sources everywhere."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..module_utils.machine.program_tree import tree_digest

PACKAGE = "ovn_k8s"
SHARED = ("core", "openflow", "ovsdb")
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip archive can hold."""


def program_files(collection: Path) -> dict[str, bytes]:
    """Path inside the archive -> content: `src/ovn_k8s`, with what it shares with modules from `plugins/module_utils`.

    Raises FileNotFoundError when the collection is not whole.
    """
    sources = {PACKAGE: collection / "src" / PACKAGE}
    sources |= {f"{PACKAGE}/{name}": collection / "plugins" / "module_utils" / name for name in SHARED}
    files: dict[str, bytes] = {}
    for prefix, folder in sources.items():
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder} is missing; the collection is not whole, install it again")
        for path in _sources(folder):
            files[f"{prefix}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    files.setdefault(f"{PACKAGE}/__init__.py", b"")
    return dict(sorted(files.items()))


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.py"):
        if "__pycache__" not in path.parts:
            yield path


def archive(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The digest of the files, and a zip archive of them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return tree_digest(files), buffer.getvalue()
