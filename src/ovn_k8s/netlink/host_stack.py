# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Keeping the kernel's own IP stack off interfaces that belong to a userspace datapath.

Open vSwitch's userspace datapath reads a NIC or a veth through a packet socket, which gets copies: the kernel goes on
to handle every frame itself. It would answer ARP for the node's addresses on each of them, take packets twice, and let
pods reach the node past OVN's rules. (The kernel datapath takes frames over and needs none of this.) What the settings
mean: Documentation/networking/ip-sysctl.rst. They hold as long as net.ipv4.conf.all.rp_filter is not 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_PROC = Path("/proc/sys/net")

SILENT: Mapping[str, str] = {
    "ipv4/arp_ignore": "8",  # answers no ARP request
    "ipv4/rp_filter": "1",  # no route leads out of it, so nothing may come in by it
    "ipv6/disable_ipv6": "1",
}
"""Settings, as family/name, of an interface on which the kernel keeps quiet."""


def read(interface: str) -> dict[str, str]:
    """The present values of these settings; those that the kernel does not have are left out."""
    values = {}
    for setting in SILENT:
        path = _path(interface, setting)
        if path.exists():
            values[setting] = path.read_text(encoding="ascii").strip()
    return values


def write(interface: str, values: Mapping[str, str]) -> None:
    """Set these settings, where the kernel has them.

    Raises:
        OSError: no such interface, or /proc/sys/net is read-only.
    """
    for setting, value in values.items():
        path = _path(interface, setting)
        if path.exists():
            path.write_text(value, encoding="ascii")


def forwards_everywhere() -> bool:
    """Whether the machine is a router: net.ipv4.ip_forward."""
    return (_PROC / "ipv4/ip_forward").read_text(encoding="ascii").strip() == "1"


def forwards(interface: str) -> bool:
    """Whether what comes in by this interface may go on; not by one that is not there."""
    path = _path(interface, "ipv4/forwarding")
    return path.exists() and path.read_text(encoding="ascii").strip() == "1"


def set_forwarding(interface: str, enabled: bool) -> None:
    """Let what comes in by this interface go on, or not.

    Raises:
        OSError: no such interface, or /proc/sys/net is read-only.
    """
    _path(interface, "ipv4/forwarding").write_text(str(int(enabled)), encoding="ascii")


def _path(interface: str, setting: str) -> Path:
    family, name = setting.split("/")
    return _PROC / family / "conf" / interface / name
