# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a person may set about the lab, and where it keeps its things."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TREE = Path(__file__).resolve().parent
"""The folder ``lab/`` of the repository."""

RELEASES = ("trixie", "bookworm")
"""Debian releases that the nodes can have."""


class LabError(Exception):
    """Something that a person can put right; the message says what and how."""


@dataclass(frozen=True)
class Settings:
    """One lab. Two labs with different names can run side by side."""

    name: str
    """Prefix of the network namespaces and name of the control group."""
    state: Path
    """Everything of the running lab; gone after ``lab-down``."""
    cache: Path
    """What is slow to make, kept between labs."""
    release: str
    """Debian release of the nodes."""
    mirror: str
    """Debian mirror for the nodes' root and packages."""
    underlay_mtu: int
    """MTU in bytes of the network between the nodes."""
    binaries: Path | None
    """A folder with Kubernetes, etcd and containerd programs to use instead of fetching or building them."""
    windows: bool
    """Whether the modelled Windows machines are part of the lab."""

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the ``LAB_*`` variables (see lab/README.md).

        Raises LabError when one of them cannot be.
        """
        env = os.environ
        name = env.get("LAB_NAME", "ovnk8s")
        if not name.isalnum() or len(name) > 20:
            raise LabError(f"LAB_NAME={name!r}: use at most 20 letters and digits")
        release = env.get("LAB_RELEASE", RELEASES[0])
        if release not in RELEASES:
            raise LabError(f"LAB_RELEASE={release!r}: the lab knows {', '.join(RELEASES)}")
        mtu = env.get("LAB_UNDERLAY_MTU", "1500")
        if not mtu.isdigit() or not 1380 <= int(mtu) <= 9000:
            raise LabError(f"LAB_UNDERLAY_MTU={mtu!r}: use a number from 1380 to 9000")
        state = "/var/lib/ovn-k8s-lab" if name == "ovnk8s" else f"/var/lib/{name}-lab"
        cache_home = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        binaries = env.get("LAB_BINARIES")
        return cls(
            name=name,
            state=Path(env.get("LAB_STATE") or state).absolute(),
            cache=Path(env.get("LAB_CACHE") or cache_home / "ovn-k8s-lab").absolute(),
            release=release,
            mirror=env.get("LAB_MIRROR", "http://deb.debian.org/debian"),
            underlay_mtu=int(mtu),
            binaries=Path(binaries).absolute() if binaries else None,
            windows=env.get("LAB_WINDOWS", "1") not in ("", "0"),
        )

    def namespace(self, part: str) -> str:
        """Name of one of the lab's network namespaces, as ``ip netns`` shows it."""
        return f"{self.name}-{part}"

    def node(self, machine: str) -> Path:
        """Folder of one machine's disk, console and settings."""
        return self.state / "nodes" / machine

    @cached_property
    def architecture(self) -> str:
        """Debian's name of the processor architecture, which is Go's too: amd64 or arm64."""
        return subprocess.run(
            ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
        ).stdout.strip()
