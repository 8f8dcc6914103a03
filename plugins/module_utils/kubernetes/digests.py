# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""SHA-256 digests of large files, remembered so that an unchanged file is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SHA256 = re.compile(r"\A[0-9a-f]{64}\Z")


class ChecksumError(ValueError):
    """A list of checksums that cannot be used; the message says why."""


def sha256_of(path: str | Path) -> str:
    """The SHA-256 digest of a file's content, in hex."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def parse_checksums(text: str, source: str) -> dict[str, str]:
    """File name -> SHA-256 digest, from the output format of sha256sum(1).

    A text that is nothing but one digest (as dl.k8s.io publishes it) gives {"": digest}.
    source: where the text is from, for the error message.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split(maxsplit=1)
        if not words or line.startswith("#"):
            continue
        digest = words[0].lower()
        if not _SHA256.match(digest):
            raise ChecksumError(f"{source}: {line[:80]!r} is not a line of sha256sum")
        name = words[1].strip().removeprefix("*").removeprefix("./") if len(words) > 1 else ""
        found[name] = digest
    if not found:
        raise ChecksumError(f"{source} has no checksum in it")
    return found


def checksum_for(text: str, name: str, source: str) -> str:
    """The digest that a published checksum file gives for the file called `name`."""
    found = parse_checksums(text, source)
    if set(found) == {""}:
        return found[""]
    if name not in found:
        raise ChecksumError(f"{source} does not name {name}")
    return found[name]


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a small text file in one step, so that no reader sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass
class DigestRecord:
    """Digests of files that we look after, in a JSON file: path -> sha256, size, mtime_ns, inode, ours.

    A digest is believed as long as size, time and inode are what they were; else the file is read again.
    ours: we installed the file (else it was there already, with the right content).
    `replaced` keeps where a file went that was there before ours: path -> place it was moved to.
    """

    path: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    dirty: bool = False

    @classmethod
    def load(cls, path: str | Path) -> DigestRecord:
        """Read the record; a missing or damaged one is empty (its files are then simply read again)."""
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, dict(content["files"]), dict(content.get("replaced", {})))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def digest(self, path: str) -> str | None:
        """The digest of the file as it is now; None when it does not exist."""
        try:
            stat = Path(path).stat()
        except OSError:
            return None
        known = self.files.get(path)
        stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino}
        if known and all(known.get(key) == value for key, value in stamp.items()):
            return str(known["sha256"])
        return sha256_of(path)

    def announce(self, path: str) -> None:
        """Remember that the file is about to be installed by us, whatever happens in between."""
        self.files[path] = {"sha256": "", "ours": True}
        self.dirty = True

    def note(self, path: str, digest: str) -> None:
        """Remember the digest of a file that is in place now."""
        stat = Path(path).stat()
        entry = {
            "sha256": digest,
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "inode": stat.st_ino,
            "ours": self.is_ours(path),
        }
        if self.files.get(path) != entry:
            self.files[path] = entry
            self.dirty = True

    def is_ours(self, path: str) -> bool:
        """Whether we installed the file (and not somebody else before us)."""
        return bool(self.files.get(path, {}).get("ours", False))

    def forget(self, path: str) -> None:
        """Drop a file from the record."""
        if self.files.pop(path, None) is not None:
            self.dirty = True
        if self.replaced.pop(path, None) is not None:
            self.dirty = True

    def save(self) -> None:
        """Write the record when it changed; an empty one is removed."""
        if not self.dirty:
            return
        if self.files or self.replaced:
            content = {"files": self.files, "replaced": self.replaced}
            write_atomically(self.path, json.dumps(content, indent=1, sort_keys=True) + "\n", 0o600)
        else:
            self.path.unlink(missing_ok=True)
        self.dirty = False
