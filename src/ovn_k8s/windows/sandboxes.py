# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which endpoint each pod sandbox has, on disk: HNS has no room for it, and DEL must know it after any crash."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sandbox:
    """One sandbox: its container id and interface as CNI names them, its pod, its HCN namespace and its endpoint."""

    container_id: str
    ifname: str
    pod: str
    namespace: str
    endpoint: str


class Sandboxes:
    """Records in a folder, one file each. A file is replaced whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def find(self, container_id: str) -> Sandbox | None:
        """The record of a container. One that cannot be read is taken for none."""
        return self._read(self._file(container_id))

    def all(self) -> Iterator[Sandbox]:
        for file in sorted(self.folder.glob("*.json")):
            if (sandbox := self._read(file)) is not None:
                yield sandbox

    def save(self, sandbox: Sandbox) -> None:
        file = self._file(sandbox.container_id)
        new = file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as stream:
            json.dump(asdict(sandbox), stream)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)

    def remove(self, container_id: str) -> None:
        self._file(container_id).unlink(missing_ok=True)

    def _file(self, container_id: str) -> Path:
        # CNI allows letters, digits, and "._-" in container ids: all fit for a file name.
        return self.folder / f"{container_id}.json"

    @staticmethod
    def _read(file: Path) -> Sandbox | None:
        try:
            return Sandbox(**json.loads(file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            LOG.warning("%s is no record of a sandbox: %s", file, error)
            return None
