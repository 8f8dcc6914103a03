# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The record of what was made on a machine, so that a reset undoes exactly that and nothing else.

It is kept in ``/var/lib/ovn-k8s/record.json`` (mode 0600), and files that were there before and had to be replaced
are kept beside it. A record is saved before the change that it tells of: a run that dies in between leaves a record
that says too much, never one that says too little, and undoing what was not done is harmless.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

STATE_DIRECTORY = "/var/lib/ovn-k8s"
FORMAT = 1


@dataclass
class Record:
    """Paths that did not exist before, originals of those that did, and packages and users that were added."""

    directory: Path
    files: set[str] = field(default_factory=set)
    directories: set[str] = field(default_factory=set)
    originals: dict[str, str] = field(default_factory=dict)
    """Path -> name of the copy in ``originals/``."""
    packages: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    """Users and groups that the packages brought."""
    groups: set[str] = field(default_factory=set)
    digests: dict[str, list[Any]] = field(default_factory=dict)
    """Large file -> [size, mtime in ns, inode, sha256], so that a second run need not read it again."""

    @classmethod
    def load(cls, directory: str = STATE_DIRECTORY) -> Record:
        """Read the record, or begin an empty one. A file that is no record raises ValueError."""
        path = Path(directory) / "record.json"
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls(Path(directory))
        if not isinstance(stored, dict) or stored.get("format") != FORMAT:
            raise ValueError(f"{path} is not a record of format {FORMAT}")
        return cls(
            Path(directory),
            set(stored["files"]),
            set(stored["directories"]),
            dict(stored["originals"]),
            set(stored["packages"]),
            set(stored.get("users", ())),
            set(stored.get("groups", ())),
            dict(stored["digests"]),
        )

    def save(self) -> None:
        """Write the record atomically."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        stored: dict[str, Any] = {"format": FORMAT}
        for name, value in asdict(self).items():
            if name != "directory":
                stored[name] = sorted(value) if isinstance(value, set) else value
        temporary = self.directory / "record.json.new"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(stored, stream, indent=1, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.directory / "record.json")

    def is_ours(self, path: str) -> bool:
        """Whether we made this path, or replaced it and kept the original."""
        return path in self.files or path in self.originals or path in self.directories

    def keep_original(self, path: str) -> None:
        """Copy a file (or a symbolic link itself) that is not ours before it is replaced or removed."""
        if self.is_ours(path):
            return
        name = sha256(path.encode()).hexdigest()[:16]
        folder = self.directory / "originals"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = folder / name
        if copy.is_symlink() or copy.exists():
            copy.unlink()
        shutil.copy2(path, copy, follow_symlinks=False)
        status = os.lstat(path)
        os.chown(copy, status.st_uid, status.st_gid, follow_symlinks=False)
        self.originals[path] = name

    def restore(self, path: str) -> None:
        """Put the original of a path back, with its mode, owner and times."""
        copy = self.directory / "originals" / self.originals[path]
        if copy.is_symlink() or copy.exists():
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            status = os.lstat(copy)
            temporary = target.with_name(f".{target.name}.restored")
            shutil.copy2(copy, temporary, follow_symlinks=False)
            os.chown(temporary, status.st_uid, status.st_gid, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                os.chmod(temporary, stat.S_IMODE(status.st_mode))
            temporary.replace(target)

    def remembered_digest(self, path: str) -> str | None:
        """The sha256 of a large file that has not been touched since it was last read or written, else None."""
        known = self.digests.get(path)
        if known is None:
            return None
        status = os.stat(path)
        return known[3] if known[:3] == [status.st_size, status.st_mtime_ns, status.st_ino] else None

    def remember_digest(self, path: str, digest: str) -> None:
        status = os.stat(path)
        self.digests[path] = [status.st_size, status.st_mtime_ns, status.st_ino, digest]

    @property
    def empty(self) -> bool:
        return not (self.files or self.directories or self.originals or self.packages or self.users or self.groups)

    def discard(self) -> None:
        """Remove the record and its directory; call it when everything is undone."""
        shutil.rmtree(self.directory, ignore_errors=True)
