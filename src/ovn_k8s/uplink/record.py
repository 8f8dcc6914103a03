# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What was moved, and how to undo it: one file for each NIC in /var/lib/ovn-k8s/uplink.

Format: {"version": 1, "nic", "bridge", "datapath_type", "manager", "state": "moving" | "kept" | "returning",
"seconds": number, "facts": {…}, "files": {path: new content or null}, "before": {path: {"content", "mode"} or null}}.
`files` is what the network manager is told while the NIC is in the bridge, null for a file that must not be there;
`before` is what these paths had.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import UplinkError
from .kernel import Facts

DIRECTORY = Path("/var/lib/ovn-k8s/uplink")
VERSION = 1
MOVING, KEPT, RETURNING = "moving", "kept", "returning"


@dataclass(frozen=True)
class Original:
    """A file as it was. `mode` as chmod(2) takes it."""

    content: str
    mode: int


@dataclass(frozen=True)
class Record:
    """See above. `facts` are those of the NIC before it was moved."""

    nic: str
    bridge: str
    datapath_type: str
    manager: str
    state: str
    seconds: float
    facts: Facts
    files: Mapping[str, str | None] = field(default_factory=dict)
    before: Mapping[str, Original | None] = field(default_factory=dict)

    def moved(self, state: str, **changes: Any) -> Record:
        """The record with another state."""
        return dataclasses.replace(self, state=state, **changes)


def path_of(nic: str, directory: Path = DIRECTORY) -> Path:
    """Where the record of a NIC lies."""
    return directory / f"{nic}.json"


def load(nic: str, directory: Path = DIRECTORY) -> Record | None:
    """The record of a NIC, or None. Raises UplinkError for a file that cannot be understood."""
    path = path_of(nic, directory)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("version") != VERSION:
            raise ValueError("it is of another release")
        document["facts"] = Facts.parse(document["facts"])
        document["before"] = {p: Original(**o) if o else None for p, o in document["before"].items()}
        return Record(**document)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UplinkError(f"{path}: cannot be read ({error})") from error


def load_all(directory: Path = DIRECTORY) -> list[Record]:
    """All records."""
    found = (load(path.stem, directory) for path in sorted(directory.glob("*.json")))
    return [record for record in found if record]


def save(record: Record, directory: Path = DIRECTORY) -> None:
    """Replace the file; after a power cut it is either the old or the new one."""
    document = {
        "version": VERSION,
        **{name: getattr(record, name) for name in ("nic", "bridge", "datapath_type", "manager", "state", "seconds")},
        "facts": record.facts.document(),
        "files": dict(record.files),
        "before": {path: dataclasses.asdict(was) if was else None for path, was in record.before.items()},
    }
    write_safely(path_of(record.nic, directory), json.dumps(document, indent=1), 0o600)


def remove(nic: str, directory: Path = DIRECTORY) -> None:
    """Forget a NIC; the folder goes with the last one."""
    path_of(nic, directory).unlink(missing_ok=True)
    if directory == DIRECTORY and directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()


def write_safely(path: Path, content: str, mode: int) -> None:
    """Replace a file in one step that a power cut cannot halve."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def originals(paths: Mapping[str, str | None]) -> dict[str, Original | None]:
    """What there is now at these paths."""
    found: dict[str, Original | None] = {}
    for name in paths:
        path = Path(name)
        found[name] = Original(path.read_text("utf-8"), path.stat().st_mode & 0o7777) if path.is_file() else None
    return found


def write_files(files: Mapping[str, str | None], before: Mapping[str, Original | None]) -> None:
    """Have these contents at these paths; a file that was there keeps its mode."""
    for name, content in files.items():
        was = before.get(name)
        if content is None:
            Path(name).unlink(missing_ok=True)
        else:
            _write(Path(name), content, was.mode if was else _mode(name))


def restore_files(before: Mapping[str, Original | None]) -> None:
    """Have again what was there."""
    for name, was in before.items():
        if was is None:
            Path(name).unlink(missing_ok=True)
        else:
            _write(Path(name), was.content, was.mode)


def _write(path: Path, content: str, mode: int) -> None:
    """A file that is right is left alone: to some managers a new time is a change."""
    if not path.is_file() or path.read_text("utf-8") != content:
        write_safely(path, content, mode)


def _mode(name: str) -> int:
    """NetworkManager takes profiles only that nobody else can read."""
    return 0o600 if name.endswith(".nmconnection") else 0o644
