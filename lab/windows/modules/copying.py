# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""win_copy: its action plugin asks what is missing (query), then sends a file (single) or an archive (explode)."""

from __future__ import annotations

import base64
import hashlib
import io
import ntpath
import zipfile
from typing import Any

from .call import Call, Failed


def copy(call: Call) -> dict[str, Any]:
    """One of the three."""
    match call.get("_copy_mode", "single"):
        case "query":
            return _query(call)
        case "single":
            return _single(call)
        case "explode":
            return _explode(call)
        case mode:
            raise Failed(f"STAND-IN: win_copy's mode {mode} is not modelled")


def _checksum(call: Call, path: str) -> str:
    return hashlib.sha1(call.computer.drive.read(path), usedforsecurity=False).hexdigest()


def _below(folder: str, path: str) -> str:
    return ntpath.join(folder, path.replace("/", "\\"))


def _query(call: Call) -> dict[str, Any]:
    drive, destination = call.computer.drive, call.arguments["dest"]
    if drive.is_file(destination):
        raise Failed(f"cannot copy file to dest '{destination}': object at path is already a file")
    missing = []
    for file in call.get("files", []):
        path = _below(destination, file["dest"])
        if drive.is_folder(path):
            path = _below(path, ntpath.basename(file["src"].replace("/", "\\")))
            if drive.is_folder(path):
                raise Failed(f"cannot copy file to dest '{path}': object at path is already a directory")
        if not drive.is_file(path) or (call.get("force", True) and _checksum(call, path) != file["checksum"]):
            missing.append(file)
    folders = [item for item in call.get("directories", []) if not drive.is_folder(_below(destination, item["dest"]))]
    return {"files": missing, "directories": folders, "symlinks": []}


def _single(call: Call) -> dict[str, Any]:
    drive, destination = call.computer.drive, call.arguments["dest"]
    into_folder = destination.endswith(("\\", "/")) or drive.is_folder(destination)
    path = _below(destination, call.arguments["_original_basename"]) if into_folder else destination
    parent = ntpath.dirname(path)
    if drive.is_file(parent):
        raise Failed(f"object at destination parent dir '{parent}' is currently a file")
    if not drive.is_folder(parent):
        if not into_folder:
            raise Failed(f"Destination directory '{parent}' does not exist")
        if not call.check:
            drive.make_folder(parent)
    content = drive.read(call.arguments["src"])
    if not call.check:
        drive.write(path, content)
    checksum = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    result = {"changed": True, "checksum": checksum, "dest": path, "size": len(content), "operation": "file_copy"}
    return result | {"original_basename": call.arguments["_original_basename"]}


def _explode(call: Call) -> dict[str, Any]:
    drive, destination = call.computer.drive, call.arguments["dest"]
    with zipfile.ZipFile(io.BytesIO(drive.read(call.arguments["src"]))) as archive:
        for member in archive.infolist():
            # The action encodes names, so that the archive survives every code page.
            path = _below(destination, base64.b64decode(member.filename.rstrip("/")).decode())
            if call.check:
                continue
            if member.is_dir():
                drive.make_folder(path)
            else:
                drive.make_folder(ntpath.dirname(path))
                drive.write(path, archive.read(member))
    return {"changed": True}
