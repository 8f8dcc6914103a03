# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What is slow to make, kept between labs: each entry is found by what it is made from.

An entry is a folder ``KIND-KEY`` with ``content/`` and ``manifest.json``, and KEY is a hash of all that it is made
from, so that a changed input means another entry. It is made in a folder of its own and renamed when it is whole,
under a lock, so that two labs that need it make it once. The manifest says what must be there: an entry with a file
missing, cut short or changed is made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import mounts
from .progress import say, step

Manifest = dict[str, list[object]]
"""Path in the entry to [type and mode, size in bytes, modification time in ns, SHA-256 or link target]."""


KEPT_SECONDS = 14 * 24 * 3600
"""How long an entry is kept that is not asked for."""


class Cache:
    """A folder of entries. It may be removed whenever no lab runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entry(self, kind: str, what: str, inputs: Sequence[str | bytes | Path], make: Callable[[Path], None]) -> Path:
        """The content of an entry, made by ``make(folder)`` when it is not there or not whole.

        ``inputs`` are texts, or files and folders whose names and contents count. ``what`` tells a person what is made.
        """
        name = f"{kind}-{fingerprint(inputs)}"
        entry = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / f".{name}.lock", what):
            if fault := damage(entry):
                if entry.exists():
                    say(f"{what}: the kept copy is not whole ({fault}), so it is made again")
                for left_over in (entry, *self.folder.glob(f".{name}.new-*")):
                    mounts.remove(left_over)
                new = self.folder / f".{name}.new-{os.getpid()}"
                try:
                    with step(what):
                        (new / "content").mkdir(parents=True)
                        make(new / "content")
                        manifest = {str(p): describe(new / "content" / p) for p in walk(new / "content")}
                        (new / "manifest.json").write_text(json.dumps(manifest))
                        os.sync()
                        new.rename(entry)
                finally:
                    if new.exists():
                        mounts.remove(new)
                self._forget(kind)
            os.utime(entry)
        return entry / "content"

    def _forget(self, kind: str) -> None:
        """Remove entries of a kind that nobody has asked for in a long time and that no machine's disk lies on."""
        mounted = Path("/proc/self/mountinfo").read_text()
        for entry in self.folder.glob(f"{kind}-*"):
            if time.time() - entry.stat().st_mtime > KEPT_SECONDS and f"{entry}/" not in mounted:
                mounts.remove(entry)


def fingerprint(inputs: Sequence[str | bytes | Path]) -> str:
    """A short hash of texts and of files and folders by name and content."""
    whole = hashlib.sha256()

    def add(part: bytes) -> None:
        whole.update(len(part).to_bytes(8, "big") + part)

    for value in inputs:
        if isinstance(value, Path):
            for path in [value] if value.is_file() else sorted(p for p in value.rglob("*") if p.is_file()):
                if "__pycache__" in path.parts:
                    continue
                add(str(path.relative_to(value.parent)).encode())
                add(str(stat.S_IMODE(path.stat().st_mode) & 0o111).encode())
                add(path.read_bytes())
        else:
            add(value if isinstance(value, bytes) else value.encode())
    return whole.hexdigest()[:16]


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel releases it when the holder dies."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{what}: waiting for another lab command that is at work on it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder, as paths relative to it."""
    for parent, directories, files in os.walk(folder):
        for name in (*directories, *files):
            yield (Path(parent) / name).relative_to(folder)


def describe(path: Path) -> list[object]:
    """One file as the manifest has it."""
    status = path.lstat()
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        return [status.st_mode, status.st_size, status.st_mtime_ns, content]
    return [status.st_mode, 0, 0, str(path.readlink()) if path.is_symlink() else ""]


def damage(entry: Path) -> str:
    """What is wrong with an entry, or nothing.

    Contents are compared only for files whose time has changed; a whole comparison would cost seconds at every start.
    """
    try:
        manifest: Manifest = json.loads((entry / "manifest.json").read_text())
        for name, expected in manifest.items():
            path = entry / "content" / name
            status = path.lstat()
            if status.st_mode != expected[0]:
                return f"{name} has another type or mode"
            if stat.S_ISREG(status.st_mode):
                if status.st_size != expected[1]:
                    return f"{name} has another size"
                if status.st_mtime_ns != expected[2] and describe(path)[3] != expected[3]:
                    return f"{name} has other contents"
    except (OSError, ValueError) as error:
        return str(error)
    return ""
