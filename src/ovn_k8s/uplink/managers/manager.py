# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What every network manager can be asked for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from ..errors import UplinkError
from ..kernel import Facts, Interface
from ..record import Record, restore_files, write_files

COMMAND_SECONDS = 25.0
SETTLE_SECONDS = 12.0
"""How long a manager may take for an address: a DHCP server is asked three times in that time."""


class Manager(Protocol):
    """One network manager. `record.files` and `record.before` are its own files."""

    name: str

    def files(self, nic: Interface, bridge: str, facts: Facts) -> Mapping[str, str | None]:
        """The files that give the bridge what the NIC has. Raises UplinkError where that cannot be said."""
        ...

    def release(self, record: Record) -> None:
        """Let go of the NIC, while the old files are there."""
        ...

    def adopt(self, record: Record) -> None:
        """Write the files and have the bridge configured; it is there, with the addresses of the NIC."""
        ...

    def abandon(self, record: Record) -> None:
        """Let go of the bridge, while the new files are there."""
        ...

    def restore(self, record: Record) -> None:
        """Put the old files back and have the NIC configured; it is out of the bridge."""
        ...

    def settled(self, interface: Interface, leased: bool) -> bool:
        """Whether the manager is done with an interface; `leased`: an address has to come from elsewhere."""
        ...


class Nobody:
    """No manager has the NIC: its addresses were set by hand or by something that does not look after them.

    Then they are given to the bridge now and, by ovn-k8s-uplink.service, whenever the machine starts.
    """

    name = "nobody"

    def files(self, nic: Interface, bridge: str, facts: Facts) -> Mapping[str, str | None]:
        return {}

    def release(self, record: Record) -> None:
        return

    def adopt(self, record: Record) -> None:
        write_files(record.files, record.before)

    def abandon(self, record: Record) -> None:
        return

    def restore(self, record: Record) -> None:
        restore_files(record.before)

    def settled(self, interface: Interface, leased: bool) -> bool:
        return True


def command(*words: str) -> str:
    """Run one of the manager's programs; what it printed. Raises UplinkError with what it said."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=COMMAND_SECONDS, stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError:
        raise UplinkError(f"{words[0]} is not there") from None
    except subprocess.TimeoutExpired:
        raise UplinkError(f"{' '.join(words)}: no end within {COMMAND_SECONDS:g} s") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UplinkError(f"{' '.join(words)}: {said[-1] if said else f'status {done.returncode}'}")
    return done.stdout


def within(seconds: float, probe: Callable[[], bool]) -> bool:
    """Whether `probe` becomes true in this time."""
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
