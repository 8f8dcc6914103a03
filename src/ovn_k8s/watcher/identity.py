# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Who a process is among all watchers, and whether one of the same machine still lives.

A watcher that was killed holds its Lease for seconds yet. Its successor on the same machine need not sit them out: each
watcher binds an abstract unix socket by its identity, which the kernel closes with the process.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
from pathlib import Path


class Identity:
    """The name of this process: <host>_<boot and network namespace>_<random>."""

    def __init__(self) -> None:
        self._machine = f"{socket.gethostname()}_{_place()}_"
        self.name = self._machine + secrets.token_hex(8)
        self._sign = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._sign.bind(_address(self.name))

    def __str__(self) -> str:
        return self.name

    def is_dead(self, other: str) -> bool:
        """Whether another watcher ran on this machine and is known to run no more."""
        if other == self.name or not other.startswith(self._machine):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
            return probe.connect_ex(_address(other)) == errno.ECONNREFUSED

    def close(self) -> None:
        """Take the sign of life away."""
        self._sign.close()


def _place() -> str:
    """Names the kernel's life and the network namespace; host names and machine ids may be those of a cloned image.

    Where a sandbox hides them a random one stands in: then nobody is known to be dead, and Leases run out.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}-{Path('/proc/self/ns/net').stat().st_ino}"
    except OSError:
        return secrets.token_hex(8)


def _address(identity: str) -> bytes:
    return b"\0ovn-k8s-watcher/" + os.fsencode(identity)[-80:]


def host_of(identity: str) -> str:
    """The host name in an identity, for people."""
    return identity.split("_", 1)[0]
