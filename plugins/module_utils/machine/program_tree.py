# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Installed programs: one directory for each version, a link to the current one, launchers that go through the link."""

from __future__ import annotations

import compileall
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

ROOT = Path("/opt/ovn-k8s")
LAUNCHERS = {
    "ovn-k8s-watcher": "ovn_k8s.watcher.__main__",
    "ovn-k8s-node": "ovn_k8s.node.__main__",
    "ovn-k8s-overlay": "ovn_k8s.overlay.__main__",
    "ovn-k8s-gateway-helper": "ovn_k8s.gateway.__main__",
}
"""Program -> module whose `main()` it calls."""
LAUNCHER_DIRECTORY = Path("/usr/local/bin")
SHIM_SOURCE = "ovn_k8s/cni/shim.py"


def tree_digest(files: Mapping[str, bytes]) -> str:
    """A version name for a set of files: the first 16 hexadecimal digits of a sha256 over names and contents."""
    digest = sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def installed_digest(folder: Path) -> str:
    """The digest of what lies in a version's directory, byte code left out; empty when it is not there."""
    if not folder.is_dir():
        return ""
    return tree_digest({path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")})


def unpack(archive: bytes, digest: str, root: Path = ROOT) -> None:
    """Unpack a version beside its place, compile it, check it, and move it into place. Raises ValueError if it is
    damaged."""
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    root.chmod(0o755)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            packed.extractall(temporary)
        if installed_digest(temporary) != digest:
            raise ValueError(f"the transferred programs are damaged: their digest is not {digest}; run again")
        final = root / digest
        compileall.compile_dir(temporary, quiet=2, stripdir=str(temporary), prependdir=str(final), force=True)
        for path in [temporary, *temporary.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def current(root: Path = ROOT) -> str:
    """The version that `current` points to; empty when there is none."""
    link = root / "current"
    return os.readlink(link) if link.is_symlink() else ""


def switch(digest: str, root: Path = ROOT) -> None:
    """Point `current` to a version, atomically."""
    temporary = root / ".current.new"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(digest)
    temporary.replace(root / "current")


def old_versions(digest: str, root: Path = ROOT) -> list[Path]:
    """Everything in the programs' directory but this version and the link."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.name not in (digest, "current"))


def launcher(module: str, root: Path = ROOT) -> bytes:
    """The text of a launcher: isolated from the caller's environment and working directory."""
    return (
        "#!/usr/bin/python3 -I\n"
        "# Made by ovn_k8s.cluster; changes are overwritten.\n"
        "import sys\n\n"
        f'sys.path.insert(0, "{root}/current")\n'
        f"from {module} import main\n\n"
        "sys.exit(main())\n"
    ).encode()
