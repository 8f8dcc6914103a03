# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Many files and directories at once: compare with what is there, write what differs, undo all of it."""

from __future__ import annotations

import base64
import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from .record import Record

LARGE = 1 << 20
"""Bytes from which on a file is compared by digest alone and shown without its content."""
DIFF_LIMIT = 1 << 16
MISSING = "absent"


class FilesError(Exception):
    """A wish that cannot be carried out; the message names the path, the reason and what to do."""


@dataclass(frozen=True)
class WantedFile:
    """A file as it has to be: content in memory, or `staged` on this machine, or known by its digest only."""

    dest: str
    mode: int
    owner: str
    group: str
    content: bytes | None = None
    digest: str = ""
    staged: str = ""
    sensitive: bool = False


@dataclass(frozen=True)
class WantedDirectory:
    path: str
    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class Change:
    """One difference, in words and as two sides of a diff."""

    path: str
    before: str
    after: str

    def as_diff(self) -> dict[str, str]:
        return {
            "before_header": self.path,
            "after_header": self.path,
            "before": self.before if self.before.endswith("\n") else self.before + "\n",
            "after": self.after if self.after.endswith("\n") else self.after + "\n",
        }


def parse_mode(text: object) -> int:
    """An octal mode in a string such as ``0644``; raises FilesError."""
    try:
        if not isinstance(text, str):
            raise ValueError
        mode = int(text, 8)
    except ValueError:
        raise FilesError(f"mode {text!r} is not an octal string; write it in quotes, such as '0644'") from None
    if not 0 <= mode <= 0o7777:
        raise FilesError(f"mode {text!r} is out of range")
    return mode


def wanted_files(items: Iterable[Mapping[str, Any]]) -> list[WantedFile]:
    """Read what the action plugin sent; contents are base64."""
    files = []
    for item in items:
        content = item.get("content")
        raw = None if content is None else base64.b64decode(content)
        digest = item.get("sha256") or ("" if raw is None else sha256(raw).hexdigest())
        files.append(
            WantedFile(
                item["dest"],
                parse_mode(item["mode"]),
                item["owner"],
                item["group"],
                raw,
                digest,
                item.get("staged") or "",
                bool(item.get("sensitive")),
            )
        )
    return files


def wanted_directories(items: Iterable[Mapping[str, Any]]) -> list[WantedDirectory]:
    return [WantedDirectory(item["path"], parse_mode(item["mode"]), item["owner"], item["group"]) for item in items]


class Machine:
    """Compares and writes; with `dry` it only says what it would do."""

    def __init__(self, record: Record, *, dry: bool) -> None:
        self.record = record
        self.dry = dry
        self.changes: list[Change] = []
        self._record_changed = False

    def missing(self, files: Sequence[WantedFile]) -> list[str]:
        """Of the files known by digest only, those that have to be transferred."""
        return [file.dest for file in files if file.content is None and self._digest(file.dest) != file.digest]

    def apply(self, directories: Sequence[WantedDirectory], files: Sequence[WantedFile], absent: Sequence[str]) -> None:
        """Bring everything to its wanted state; nothing is renamed into place before every file has been written."""
        self._check(directories, files, absent)
        directory_work = [directory for directory in directories if self._directory_differs(directory)]
        file_work = [file for file in files if self._file_differs(file)]
        removals = [path for path in absent if os.path.lexists(path)]
        self.changes += [Change(path, _kind(path), MISSING) for path in removals]
        if self.dry:
            return
        self._note(directory_work, file_work, removals)
        for directory in directory_work:
            self._make_directory(directory)
        staged: list[tuple[str, WantedFile]] = []
        try:
            for file in file_work:
                self._make_parents(file.dest)
                staged.append((_write_beside(file), file))
            for temporary, file in staged:
                os.replace(temporary, file.dest)
        finally:
            for temporary, _file in staged:
                Path(temporary).unlink(missing_ok=True)
        for file in file_work:
            if file.content is None:
                self.record.remember_digest(file.dest, file.digest)
                self._record_changed = True
        for path in removals:
            _remove(path)
        if self._record_changed:
            self.record.save()

    def reset(self) -> None:
        """Undo everything that the record tells: put originals back, remove the rest, directories with all they
        hold."""
        record = self.record
        gone = [path for path in sorted(record.files) if os.path.lexists(path)]
        directories = sorted((path for path in record.directories if os.path.isdir(path)), key=len, reverse=True)
        for directory in [] if self.dry else directories:
            for mount in _mounts_below(directory):
                raise FilesError(
                    f"{directory} was made by these roles and is to be removed, but {mount} is mounted in it; "
                    f"stop what uses it and run `umount {mount}`"
                )
        self.changes += [Change(path, "present", MISSING) for path in gone + directories]
        self.changes += [Change(path, "replaced", "as it was before") for path in sorted(record.originals)]
        if self.dry:
            return
        for path in gone:
            _remove(path)
        for path in sorted(record.originals):
            record.restore(path)
        for directory in directories:
            shutil.rmtree(directory, ignore_errors=False)
        record.files.clear()
        record.directories.clear()
        record.originals.clear()
        record.digests.clear()
        if record.empty:
            record.discard()
        else:
            record.save()

    def _check(
        self, directories: Sequence[WantedDirectory], files: Sequence[WantedFile], absent: Sequence[str]
    ) -> None:
        seen: set[str] = set()
        for path in [*(d.path for d in directories), *(f.dest for f in files), *absent]:
            if not os.path.isabs(path) or os.path.normpath(path) != path or path == "/":
                raise FilesError(f"{path!r} is not an absolute path in its plain form; write it like /etc/name")
            if path in seen:
                raise FilesError(f"{path} is named twice; name it once")
            seen.add(path)
        for file in files:
            if os.path.isdir(file.dest) and not os.path.islink(file.dest):
                raise FilesError(f"{file.dest} is a directory and is to be a file; remove it first")
        for directory in directories:
            if os.path.lexists(directory.path) and not os.path.isdir(directory.path):
                raise FilesError(f"{directory.path} is no directory and is to be one; remove it first")
        owned: list[WantedFile | WantedDirectory] = [*directories, *files]
        for wanted in owned:
            _ids(wanted, must_exist=not self.dry)

    def _digest(self, path: str) -> str:
        if not os.path.isfile(path) or os.path.islink(path):
            return ""
        known = self.record.remembered_digest(path)
        if known is not None:
            return known
        with open(path, "rb") as stream:
            digest = sha256()
            while block := stream.read(LARGE):
                digest.update(block)
        if os.path.getsize(path) >= LARGE and not self.dry and os.path.isdir(self.record.directory):
            self.record.remember_digest(path, digest.hexdigest())
            self._record_changed = True
        return digest.hexdigest()

    def _directory_differs(self, wanted: WantedDirectory) -> bool:
        before = _attributes(wanted.path)
        after = _wanted_attributes(wanted)
        if before == after:
            return False
        self.changes.append(Change(wanted.path, f"directory {before}", f"directory {after}"))
        return True

    def _file_differs(self, wanted: WantedFile) -> bool:
        before, after = _attributes(wanted.dest), _wanted_attributes(wanted)
        same_content = self._digest(wanted.dest) == wanted.digest
        if same_content and before == after:
            return False
        if same_content or wanted.sensitive or wanted.content is None:
            note = "" if same_content else " (content differs; it is not shown)"
            self.changes.append(Change(wanted.dest, before, after + note))
        else:
            old = _readable(wanted.dest)
            self.changes.append(Change(wanted.dest, f"{before}\n{old}", f"{after}\n{_text(wanted.content)}"))
        return True

    def _note(
        self, directories: Sequence[WantedDirectory], files: Sequence[WantedFile], removals: Sequence[str]
    ) -> None:
        record = self.record
        for path in [*(d.path for d in directories), *(str(Path(f.dest).parent) for f in files)]:
            for missing in _missing_directories(path):
                record.directories.add(missing)
                self._record_changed = True
        for path in [file.dest for file in files]:
            if not os.path.lexists(path):
                record.files.add(path)
                self._record_changed = True
            elif not record.is_ours(path):
                record.keep_original(path)
                self._record_changed = True
        for path in removals:
            if record.is_ours(path):
                record.files.discard(path)
                record.directories.discard(path)
            elif os.path.isdir(path) and not os.path.islink(path):
                raise FilesError(
                    f"{path} is a directory that these roles did not make; remove it yourself if it has to go"
                )
            else:
                record.keep_original(path)
            self._record_changed = True
        if self._record_changed:
            record.save()

    def _make_directory(self, wanted: WantedDirectory) -> None:
        self._make_parents(wanted.path)
        if not os.path.isdir(wanted.path):
            os.mkdir(wanted.path, 0o700)
        os.chown(wanted.path, *_ids(wanted, must_exist=True))
        os.chmod(wanted.path, wanted.mode)

    def _make_parents(self, path: str) -> None:
        for missing in _missing_directories(str(Path(path).parent)):
            os.mkdir(missing, 0o755)
            os.chmod(missing, 0o755)


def _missing_directories(path: str) -> list[str]:
    """The path and its parents that do not exist, outermost first."""
    missing: list[str] = []
    while not os.path.lexists(path):
        missing.append(path)
        path = str(Path(path).parent)
    return missing[::-1]


def _write_beside(file: WantedFile) -> str:
    folder = str(Path(file.dest).parent)
    handle, temporary = tempfile.mkstemp(prefix=f".{Path(file.dest).name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            if file.content is not None:
                stream.write(file.content)
            else:
                with open(file.staged or file.dest, "rb") as source:
                    shutil.copyfileobj(source, stream, LARGE)
            os.fchown(stream.fileno(), *_ids(file, must_exist=True))
            os.fchmod(stream.fileno(), file.mode)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return temporary


def _ids(wanted: WantedFile | WantedDirectory, *, must_exist: bool) -> tuple[int, int]:
    path = wanted.dest if isinstance(wanted, WantedFile) else wanted.path
    try:
        user = pwd.getpwnam(wanted.owner).pw_uid
        group = grp.getgrnam(wanted.group).gr_gid
    except KeyError as error:
        if must_exist:
            raise FilesError(
                f"{path} is to belong to {wanted.owner}:{wanted.group}, which this machine lacks: {error}"
            ) from None
        return -1, -1
    return user, group


def _attributes(path: str) -> str:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return MISSING
    if stat.S_ISLNK(status.st_mode) and not os.path.isdir(path):
        return f"symbolic link to {os.readlink(path)}"
    status = os.stat(path)
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return f"{stat.S_IMODE(status.st_mode):04o} {owner}:{group}"


def _wanted_attributes(wanted: WantedFile | WantedDirectory) -> str:
    return f"{wanted.mode:04o} {wanted.owner}:{wanted.group}"


def _kind(path: str) -> str:
    if os.path.islink(path):
        return "symbolic link"
    return "directory" if os.path.isdir(path) else "file"


def _readable(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return _text(stream.read(DIFF_LIMIT + 1))
    except OSError:
        return ""


def _text(content: bytes) -> str:
    if len(content) > DIFF_LIMIT:
        return f"({len(content)} bytes)"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes, not text)"


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _mounts_below(path: str) -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        mounts = [line.split(" ")[4].encode().decode("unicode_escape") for line in stream]
    return sorted(mount for mount in mounts if mount == path or mount.startswith(path + "/"))
