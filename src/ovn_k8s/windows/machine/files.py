# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Files and folders of a Windows machine: what is wanted, and what differs."""

from __future__ import annotations

import base64
import binascii
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from .errors import MachineError
from .record import LARGE, Record

NEW, OLD = ".ovn-k8s-new", ".ovn-k8s-old"


@dataclass(frozen=True)
class Directory:
    """A folder. A private one is for administrators and SYSTEM only, when it is made by us."""

    path: str
    private: bool = False


@dataclass(frozen=True)
class File:
    """A file by its content or, when it is large, by digest and by the place to which it was sent."""

    path: str
    digest: str
    content: bytes | None = None
    staged: str = ""
    sensitive: bool = False


@dataclass(frozen=True)
class Files:
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One path that was, or is to be, changed; before and after are None where they are not shown."""

    path: str
    verb: str
    before: str | None = None
    after: str | None = None

    def diff(self) -> dict[str, str]:
        """In the form that Ansible shows."""
        return {
            "before_header": self.path,
            "after_header": f"{self.path} ({self.verb})",
            "before": self.before or "",
            "after": self.after or "",
        }


def read_files(request: Mapping[str, Any]) -> Files:
    """The part `directories`, `files`, `absent` of a request. Raises MachineError."""
    try:
        return Files(
            tuple(Directory(str(d["path"]), d.get("private") is True) for d in request.get("directories") or []),
            tuple(_file(item) for item in request.get("files") or []),
            tuple(str(path) for path in request.get("absent") or []),
        )
    except (KeyError, TypeError, binascii.Error) as error:
        raise MachineError(f"the request's files cannot be read: {type(error).__name__} {error}") from error


def _file(item: Mapping[str, Any]) -> File:
    path, sensitive = str(item["path"]), item.get("sensitive") is True
    if "content" in item:
        content = base64.b64decode(item["content"], validate=True)
        return File(path, sha256(content).hexdigest(), content, sensitive=sensitive)
    return File(path, str(item["sha256"]), staged=str(item.get("staged") or ""), sensitive=sensitive)


def missing(wanted: Files, record: Record) -> list[str]:
    """Paths of files that are given by digest only and are not there."""
    return [f.path for f in wanted.files if f.content is None and record.digest(Path(f.path)) != f.digest]


def settle(wanted: Files, record: Record, *, dry: bool) -> list[Change]:
    """Make files and folders as wanted; what that took. With `dry` only say it. Raises MachineError."""
    changes = []
    for change, act in _steps(wanted, record):
        changes.append(change)
        if not dry:
            try:
                act()
            except OSError as error:
                raise MachineError(f"{change.path} cannot be {change.verb}: {error.strerror or error}") from error
    return changes


def _steps(wanted: Files, record: Record) -> Iterator[tuple[Change, Any]]:
    for directory in wanted.directories:
        if not Path(directory.path).is_dir():
            yield Change(directory.path, "made"), lambda d=directory: _make(Path(d.path), d.private, record)
    for file in wanted.files:
        path = Path(file.path)
        if record.digest(path) != file.digest:
            verb = "replaced" if path.exists() else "made"
            before, after = _shown(path, file)
            yield Change(file.path, verb, before, after), lambda f=file: _write(f, record)
        elif file.staged:
            Path(file.staged).unlink(missing_ok=True)
    for gone in wanted.absent:
        if Path(gone).exists() and record.is_ours(gone):
            yield Change(gone, "removed"), lambda g=gone: _restore(g, record)


def _make(path: Path, private: bool, record: Record) -> None:
    """Make a folder and those above it; only what we make is recorded."""
    lacking = [folder for folder in (path, *path.parents) if not folder.exists()]
    record.directories.update(str(folder) for folder in lacking)
    record.save()
    for folder in reversed(lacking):
        # Since 3.13 Python knows this meaning of 0o700 on Windows.
        folder.mkdir(mode=0o700 if private and folder == path else 0o777)


def _write(file: File, record: Record) -> None:
    path = Path(file.path)
    if path.exists():
        record.keep_original(file.path)
    else:
        record.files.add(file.path)
    _make(path.parent, False, record)
    record.save()
    new = path.with_name(path.name + NEW)
    if file.content is not None:
        new.write_bytes(file.content)
    elif file.staged:
        # Not moved: across folders a move keeps the rights of where the file was.
        shutil.copyfile(file.staged, new)
        Path(file.staged).unlink()
    else:
        raise MachineError(f"{file.path} was not sent to the machine")
    if record.digest(new) != file.digest:
        new.unlink()
        raise MachineError(f"{file.path} did not arrive whole; run this again")
    record.digests.pop(str(new), None)
    put(new, path)
    record.digest(path)
    record.save()


def put(new: Path, path: Path) -> None:
    """Put a new file in the place of one that may be running: Windows lets it be renamed, but not overwritten."""
    old = path.with_name(path.name + OLD)
    try:
        old.unlink(missing_ok=True)
    except OSError:
        old = path.with_name(f"{path.name}{OLD}{os.getpid()}")
    try:
        new.replace(path)
    except PermissionError:
        path.rename(old)
        new.replace(path)


def _restore(path: str, record: Record) -> None:
    original = record.originals.get(path)
    if original:
        shutil.copy2(record.folder / "originals" / original, path)
    else:
        Path(path).unlink(missing_ok=True)
    record.files.discard(path)
    record.originals.pop(path, None)
    record.save()


def _shown(path: Path, file: File) -> tuple[str | None, str | None]:
    if file.sensitive:
        return "(not shown)", "(not shown)"
    if file.content is None or len(file.content) > LARGE:
        return None, f"sha256 {file.digest}\n"
    try:
        before = path.read_text(encoding="utf-8") if path.exists() and path.stat().st_size < LARGE else ""
        return before, file.content.decode()
    except (OSError, UnicodeDecodeError):
        return None, f"sha256 {file.digest}\n"


def undo(record: Record, *, dry: bool) -> list[Change]:
    """Remove everything that was made, and put back what was there before. Raises MachineError."""
    paths = sorted({*record.files, *record.originals})
    kept = (record.folder, *record.folder.parents)
    folders = [f for f in sorted(record.directories, key=len, reverse=True) if Path(f).is_dir() and Path(f) not in kept]
    changes = [Change(path, "restored" if path in record.originals else "removed") for path in paths]
    changes += [Change(folder, "removed") for folder in folders]
    if dry:
        return changes
    left: list[str] = []
    for path in paths:
        try:
            _restore(path, record)
            for old in Path(path).parent.glob(f"{Path(path).name}{OLD}*"):
                old.unlink()
        except OSError as error:
            left.append(f"{path}: {error.strerror or error}")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        if Path(folder).exists():
            left.append(folder)
    if left:
        raise MachineError(f"still in use, so they stay: {'; '.join(left[:5])}; restart the machine and reset it again")
    return changes
