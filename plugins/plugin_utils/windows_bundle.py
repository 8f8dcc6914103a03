# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The bundle of a Windows node: embeddable CPython, pywin32 and our programs as one tree, the same bytes every time.

Python needs no installation there: `python313._pth` names the folders that it imports from, and nothing of the machine
(registry, environment, user folders) has a say.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PureWindowsPath

from .program_archive import FIXED_TIME, program_files
from .windows_parts import LAUNCHER, PYTHON_CONTENT, PYWIN32, PartError, Parts

MANIFEST = "bundle.json"
LAUNCHER_NAME = "distlib/t64.exe"
LAUNCHERS: Mapping[str, str] = {
    "ovn-k8s-cni.exe": "ovn_k8s.windows.cni_shim",
    "ovn-k8s-hns.exe": "ovn_k8s.windows.hns",
    "ovn-k8s-machine.exe": "ovn_k8s.windows.machine.__main__",
}
"""Executable to the module whose `main` it runs."""

_PATHS = ("python313.zip", ".", "site", "site\\win32", "site\\win32\\lib")
_PYWIN32_LEFT = ("win32/test", "win32/demos", "win32/scripts", "win32/libs", "win32/include")
_PYWIN32_SUFFIXES = (".pyd", ".py", ".dll", ".txt")
_FOR_WINDOWS = ("__init__.py", "cni", "core", "host", "node", "ovsdb", "windows")
"""What a Windows node needs of the package."""


def bundle_version(collection: Path) -> str:
    """Names the bundle that `bundle_files` makes, without its parts: 16 hexadecimal digits.

    Raises FileNotFoundError when the collection is not whole.
    """
    whole = sha256()
    for name, content in sorted(_programs(collection).items()):
        whole.update(f"{name}\0{sha256(content).hexdigest()}\n".encode())
    for pinned in (PYTHON_CONTENT, PYWIN32.digest, LAUNCHER.digest):
        whole.update(pinned.encode())
    # How it is put together counts too.
    whole.update(Path(__file__).read_bytes())
    return whole.hexdigest()[:16]


def bundle_files(collection: Path, parts: Parts, program_dir: PureWindowsPath) -> dict[str, bytes]:
    """Path in the bundle (with `/`) to content, for a bundle that will lie in `program_dir`.

    Raises:
        PartError: a part of another project is missing or wrong.
        FileNotFoundError: the collection is not whole.
    """
    files = dict(parts.python())
    files["python313._pth"] = ("\r\n".join(_PATHS) + "\r\n").encode()
    files |= _pywin32(parts.file(PYWIN32))
    files |= _programs(collection)
    template = _launcher_template(parts.file(LAUNCHER))
    for name, module in LAUNCHERS.items():
        files[f"bin/{name}"] = launcher(template, module, program_dir)
    files[MANIFEST] = manifest(files)
    return dict(sorted(files.items()))


def manifest(files: Mapping[str, bytes]) -> bytes:
    """`{"digest", "files": {path: sha256}}` of everything but itself."""
    digests = {name: sha256(content).hexdigest() for name, content in sorted(files.items()) if name != MANIFEST}
    digest = sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    return (json.dumps({"digest": digest, "files": digests}, indent=1) + "\n").encode()


def launcher(template: bytes, module: str, program_dir: PureWindowsPath) -> bytes:
    """An executable that starts the bundle's Python with `module`: the launcher, a command line, and a zip archive."""
    main = f"import sys\nfrom {module} import main\nsys.exit(main())\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(zipfile.ZipInfo("__main__.py", FIXED_TIME), main)
    command = f'#!"{program_dir / "python.exe"}"\r\n'.encode()
    return template + command + buffer.getvalue()


def pack(files: Mapping[str, bytes]) -> bytes:
    """The bundle as one zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, FIXED_TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content)
    return buffer.getvalue()


def _pywin32(wheel: bytes) -> dict[str, bytes]:
    result = {}
    with zipfile.ZipFile(io.BytesIO(wheel)) as packed:
        for name in packed.namelist():
            if name.startswith("pywin32_system32/pywintypes"):
                result[name.rpartition("/")[2]] = packed.read(name)
            elif name.startswith("win32/") and not name.startswith(_PYWIN32_LEFT) and name.endswith(_PYWIN32_SUFFIXES):
                result[f"site/{name}"] = packed.read(name)
    return result


def _programs(collection: Path) -> dict[str, bytes]:
    return {
        f"site/{name}": content
        for name, content in program_files(collection).items()
        if name.split("/")[1] in _FOR_WINDOWS
    }


def _launcher_template(wheel: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel)) as packed:
        try:
            return packed.read(LAUNCHER_NAME)
        except KeyError:
            raise PartError(f"{LAUNCHER.requirement} has no {LAUNCHER_NAME}") from None
