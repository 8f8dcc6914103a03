# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Drive C as a folder: Windows paths, case and all, to files of ours."""

from __future__ import annotations

import ntpath
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

RESERVED = re.compile(r"^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?$", re.IGNORECASE)
NOT_IN_NAMES = '<>:"|?*'


class DriveError(Exception):
    """What Windows says about a path that cannot be."""


class Drive:
    """Files below `root`, which is `C:\\`; `variables` are those of the environment, for `%NAME%`."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.root = root
        self.variables = {name.lower(): value for name, value in variables.items()}

    def expand(self, path: str) -> str:
        """The path with variables put in and made whole."""
        known = self.variables
        path = re.sub(r"%([^%]+)%", lambda match: known.get(match[1].lower(), match[0]), path)
        path = ntpath.normpath(path.strip("\"'").replace("/", "\\"))
        return path if ntpath.splitdrive(path)[0] else "C:\\" + path.lstrip("\\")

    def place(self, path: str) -> Path:
        """Where it lies here, or would. Raises DriveError."""
        drive, rest = ntpath.splitdrive(self.expand(path))
        if drive.lower() != "c:":
            raise DriveError(f"Cannot find drive. A drive with the name '{drive.rstrip(':')}' does not exist.")
        place = self.root
        for part in filter(None, rest.split("\\")):
            if any(sign in part for sign in NOT_IN_NAMES) or RESERVED.match(part):
                raise DriveError("The given path's format is not supported.")
            place = _entry(place, part)
        return place

    def exists(self, path: str) -> bool:
        return self.place(path).exists()

    def is_folder(self, path: str) -> bool:
        return self.place(path).is_dir()

    def is_file(self, path: str) -> bool:
        return self.place(path).is_file()

    def read(self, path: str) -> bytes:
        return self.place(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Write a file whole. Raises DriveError when its folder is missing."""
        place = self.place(path)
        if not place.parent.is_dir():
            raise DriveError(f"Could not find a part of the path '{self.expand(path)}'.")
        # Not in place: the file may be one that all machines have from the same base.
        new = place.with_name(f".{place.name}.new")
        new.write_bytes(content)
        new.replace(place)

    def make_folder(self, path: str) -> str:
        """Make a folder and those above it; its whole path."""
        self.place(path).mkdir(parents=True, exist_ok=True)
        return self.expand(path)

    def remove(self, path: str) -> None:
        """Remove a file or a folder with all in it. Raises DriveError when it is not there."""
        place = self.place(path)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif os.path.lexists(place):
            place.unlink()
        else:
            raise DriveError(f"Cannot find path '{self.expand(path)}' because it does not exist.")


def _entry(folder: Path, name: str) -> Path:
    """An entry whatever the case of its letters."""
    exact = folder / name
    if not os.path.lexists(exact) and folder.is_dir():
        for entry in folder.iterdir():
            if entry.name.lower() == name.lower():
                return entry
    return exact
