# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A folder of release executables, filled from the projects' download addresses and checked against their digests."""

from __future__ import annotations

import fcntl
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .digests import ChecksumError, checksum_for, parse_checksums, sha256_of, write_atomically

Download = Callable[[str, IO[bytes]], None]
"""Fetches an address into an open file; raises OSError with the reason."""


class ReleaseError(Exception):
    """A release that cannot be had; the message names the address, the cause and the next step."""


@dataclass(frozen=True)
class Artifact:
    """One published file. members: name in the folder -> name in the archive; empty when the file is the executable."""

    url: str
    checksum_url: str
    name: str = ""
    members: Mapping[str, str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The executables that the artifact gives."""
        return tuple(self.members) if self.members else (self.name,)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One filler of the folder at a time; a second one waits and then finds the work done."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def present_names(folder: Path) -> dict[str, str]:
    """The executables that are in the folder and in its SHA256SUMS, with their digests.

    SHA256SUMS is written after the file that it names is complete, so that a half-filled folder is seen as such.
    """
    try:
        sums = parse_checksums((folder / "SHA256SUMS").read_text(encoding="utf-8"), str(folder / "SHA256SUMS"))
    except (OSError, ChecksumError):
        return {}
    return {name: digest for name, digest in sums.items() if name and (folder / name).is_file()}


def missing(folder: Path, artifacts: Iterable[Artifact]) -> list[Artifact]:
    """The artifacts that have to be fetched."""
    have = present_names(folder)
    return [artifact for artifact in artifacts if any(name not in have for name in artifact.names)]


def fetch(folder: Path, artifact: Artifact, download: Download) -> None:
    """Fetch one artifact, check it, put its executables into the folder and their digests into SHA256SUMS."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        published = Path(scratch) / "published"
        sums = Path(scratch) / "sums"
        try:
            for address, place in ((artifact.checksum_url, sums), (artifact.url, published)):
                with place.open("wb") as stream:
                    download(address, stream)
        except OSError as error:
            raise ReleaseError(
                f"{address} could not be downloaded: {error}. Give the control machine a way there, or put the "
                "binaries into a folder and set kubernetes_binaries_dir to it."
            ) from error
        file_name = artifact.url.rsplit("/", 1)[-1]
        try:
            expected = checksum_for(
                sums.read_text(encoding="utf-8", errors="replace"), file_name, artifact.checksum_url
            )
        except ChecksumError as error:
            raise ReleaseError(str(error)) from error
        found = sha256_of(published)
        if found != expected:
            raise ReleaseError(
                f"{artifact.url} has the SHA-256 digest {found}, but {artifact.checksum_url} says {expected}. "
                "Nothing of it was kept. Run again; when it stays so, look at what stands between you and the address."
            )
        digests = present_names(folder)
        for name, extracted in unpack(published, artifact, Path(scratch)).items():
            extracted.chmod(0o755)
            digests[name] = sha256_of(extracted)
            extracted.replace(folder / name)
        lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
        write_atomically(folder / "SHA256SUMS", "".join(lines))


def unpack(published: Path, artifact: Artifact, scratch: Path) -> dict[str, Path]:
    """The executables of the published file: itself, or the wanted members of the archive."""
    if not artifact.members:
        return {artifact.name: published}
    found = {}
    try:
        with tarfile.open(published) as archive:
            for name, member in artifact.members.items():
                stream = archive.extractfile(member)
                if stream is None:
                    raise ReleaseError(f"{artifact.url}: {member} is not a file")
                found[name] = scratch / f"member-{name}"
                with found[name].open("wb") as target:
                    shutil.copyfileobj(stream, target, 1 << 20)
    except (tarfile.TarError, KeyError) as error:
        raise ReleaseError(f"{artifact.url} cannot be unpacked: {error}") from error
    return found
