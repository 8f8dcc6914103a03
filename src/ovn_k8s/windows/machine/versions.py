# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Versions of the bundle side by side: which is there whole, which one is used, and those that nobody uses any more.

`<base>\\<version>\\` holds a bundle, `<base>\\bin\\` the launchers of the version that is used. Launchers are replaced
one by one, each in one step, and old and new ones understand each other.
"""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from .errors import MachineError
from .files import NEW, OLD, put

MANIFEST = "bundle.json"


def check(base: Path, version: str) -> dict[str, Any]:
    """Whether this version is there whole and is the one that is used."""
    try:
        manifest = _manifest(base / version)
    except MachineError:
        return {"whole": False, "used": False}
    whole = all((base / version / name).is_file() for name in manifest)
    used = whole and all(_digest(base / name) == digest for name, digest in _launchers(manifest).items())
    return {"whole": whole, "used": used}


def use(base: Path, version: str) -> list[str]:
    """Make this version the one that is used; what that changed. Raises MachineError."""
    folder = base / version
    manifest = _manifest(folder)
    wrong = [name for name, digest in manifest.items() if _digest(folder / name) != digest]
    if wrong:
        raise MachineError(f"{folder} is not whole ({', '.join(wrong[:5])}); run this again")
    changed = []
    try:
        (base / "bin").mkdir(exist_ok=True)
        for name, digest in _launchers(manifest).items():
            if _digest(base / name) != digest:
                new = (base / name).with_name(Path(name).name + NEW)
                shutil.copyfile(folder / name, new)
                put(new, base / name)
                changed.append(str(base / name))
    except OSError as error:
        raise MachineError(f"{base}\\bin cannot be written: {error}") from error
    return changed


def prune(base: Path, version: str) -> list[str]:
    """Remove all other versions. One that still runs stays until the next time."""
    removed = []
    for folder in base.iterdir():
        if folder.is_dir() and folder.name not in ("bin", version):
            # First of all: what is not whole is not taken for a version.
            (folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(str(folder))
    for old in (base / "bin").glob(f"*{OLD}*"):
        try:
            old.unlink()
        except OSError:
            continue
    return removed


def _manifest(folder: Path) -> dict[str, str]:
    try:
        files: dict[str, str] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MachineError(f"{folder} holds no bundle: {error}") from error
    return files


def _launchers(manifest: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in manifest.items() if name.startswith("bin/")}


def _digest(file: Path) -> str:
    try:
        return sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""
