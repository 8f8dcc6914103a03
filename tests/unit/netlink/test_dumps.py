# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kernel's tables change while they are read: pyroute2 of Debian says so, and they are read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

from ovn_k8s.netlink import dumps, links
from ovn_k8s.uplink import kernel

LINK = links.Link(7, "ext0", "02:00:00:00:00:01", 1500, True)
INTERFACE = kernel.Interface(7, "ext0", "02:00:00:00:00:01", 1500, True)


class Busy:
    """A netlink socket: every table is empty, and changes while it is read for the first `times`."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __getattr__(self, name: str) -> Callable[..., list[Any]]:
        def read(**_which: Any) -> list[Any]:
            if self.times:
                self.times -= 1
                raise NetlinkDumpInterrupted
            return []

        return read


READS: list[Callable[[links.Netlink, kernel.Kernel], object]] = [
    lambda handle, own: handle.links(),
    lambda handle, own: handle.addresses(LINK),
    lambda handle, own: handle.static_ipv6_addresses(LINK),
    lambda handle, own: handle.routes(),
    lambda handle, own: own.names(),
    lambda handle, own: own.interface("ext0"),
    lambda handle, own: list(own.addresses(INTERFACE)),
    lambda handle, own: list(own.routes(INTERFACE)),
    lambda handle, own: list(own.rules("ext0")),
    lambda handle, own: own.flush(INTERFACE),
]


def read(number: int, times: int) -> None:
    handle, own = links.Netlink.__new__(links.Netlink), kernel.Kernel.__new__(kernel.Kernel)
    handle._socket = own._socket = Busy(times)  # type: ignore[assignment]
    READS[number](handle, own)


@pytest.mark.parametrize("number", range(len(READS)))
def test_a_table_that_changes_is_read_again(number: int) -> None:
    read(number, 3)


def test_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "_PAUSE_S", 0)
    with pytest.raises(links.LinkError):
        read(1, dumps.ATTEMPTS)
