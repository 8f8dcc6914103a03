# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What was made on this machine, so that a reset undoes exactly that and nothing else.

It is `record.json` in the data folder. It is saved before the change that it tells of: a run that dies in between
leaves a record that says too much, and undoing what was not done is harmless.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from .errors import MachineError

FORMAT = 1


@dataclass
class Record:
    """Paths that were not there before, copies of those that were, services and firewall rules."""

    folder: Path
    files: set[str] = field(default_factory=set)
    directories: set[str] = field(default_factory=set)
    originals: dict[str, str] = field(default_factory=dict)
    """Path to the name of its copy in `originals`."""
    services: dict[str, str] = field(default_factory=dict)
    """Service to the fingerprint of what it was last started with; empty when it was only made."""
    rules: dict[str, str] = field(default_factory=dict)
    """Firewall rule to the fingerprint of what was asked for, and how Windows shows it."""
    digests: dict[str, list[Any]] = field(default_factory=dict)
    """Large file to [size, mtime in ns, sha256]: a second run need not read it."""

    @classmethod
    def load(cls, folder: Path) -> Record:
        """Read it, or begin an empty one. Raises MachineError."""
        file = folder / "record.json"
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            if stored.pop("format") != FORMAT:
                raise ValueError(f"not of format {FORMAT}")
            return cls(folder, set(stored.pop("files")), set(stored.pop("directories")), **stored)
        except FileNotFoundError:
            return cls(folder)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise MachineError(f"{file} is no record of what was made here: {error}") from error

    def save(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stored = {name: value for name, value in vars(self).items() if name != "folder"}
        stored |= {name: sorted(stored[name]) for name in ("files", "directories")}
        new = self.folder / "record.json.new"
        new.write_text(json.dumps({"format": FORMAT, **stored}, indent=1, sort_keys=True), encoding="utf-8")
        new.replace(self.folder / "record.json")

    def is_ours(self, path: str) -> bool:
        return path in self.files or path in self.originals

    def keep_original(self, path: str) -> None:
        """Copy a file that is not ours before it is replaced."""
        if self.is_ours(path):
            return
        name = sha256(path.lower().encode()).hexdigest()[:16]
        copies = self.folder / "originals"
        copies.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copies / name)
        self.originals[path] = name

    def digest(self, file: Path) -> str | None:
        """The sha256 of a file, None when there is none. Large ones are read again only when they changed."""
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        known = self.digests.get(str(file))
        mark = [status.st_size, status.st_mtime_ns]
        if known is not None and known[:2] == mark:
            return str(known[2])
        with file.open("rb") as stream:
            whole = sha256()
            while block := stream.read(1 << 20):
                whole.update(block)
        if status.st_size >= LARGE:
            self.digests[str(file)] = [*mark, whole.hexdigest()]
        return whole.hexdigest()


LARGE = 1 << 20
"""Bytes from which on a file's digest is remembered."""
