# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""win_file and win_stat."""

from __future__ import annotations

import hashlib
import ntpath
from typing import Any

from .call import Call, Failed


def file(call: Call) -> dict[str, Any]:
    """win_file."""
    drive, path, state = call.computer.drive, call.arguments["path"], call.get("state")
    if state == "touch":
        raise Failed("STAND-IN: win_file's state touch is not modelled")
    if drive.exists(path):
        if state == "absent":
            if not call.check:
                drive.remove(path)
            return {"changed": True}
        if state == "directory" and not drive.is_folder(path):
            raise Failed(f"path {path} is not a directory")
        if state == "file" and drive.is_folder(path):
            raise Failed(f"path {path} is not a file")
        return {}
    if state == "absent":
        return {}
    if state == "directory" or (state is None and not ntpath.basename(path)):
        if not call.check:
            drive.make_folder(path)
        return {"changed": True}
    raise Failed(f"path {path} will not be created")


def stat(call: Call) -> dict[str, Any]:
    """win_stat."""
    drive, path = call.computer.drive, call.arguments["path"]
    if not drive.exists(path):
        return {"stat": {"exists": False}}
    folder = drive.is_folder(path)
    found: dict[str, Any] = {"exists": True, "isdir": folder, "isreg": not folder, "islnk": False, "path": path}
    if not folder:
        content = drive.read(path)
        found["size"] = len(content)
        if call.get("get_checksum", True):
            found["checksum"] = hashlib.new(call.get("checksum_algorithm", "sha1"), content).hexdigest()
    return {"stat": found}
