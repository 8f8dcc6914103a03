# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""How a gateway tells the masters its address without writing to the northbound database.

The gateway puts items into `external_ids:ovn-cms-options` of its own Open vSwitch; ovn-controller copies that to
`other_config` of its own Chassis row in the southbound database, the only one that its certificate lets it change
(ovn-controller(8), ovn-sb(5)); a master reads it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

CMS_OPTIONS = "ovn-cms-options"
_PREFIX = "ovn-k8s-gateway-"
_ADDRESS, _NEXTHOP, _MAC, _INTERFACE = (f"{_PREFIX}{name}" for name in ("address", "nexthop", "mac", "interface"))


@dataclass(frozen=True)
class Announcement:
    """A gateway's address on `interface` (a bridge, or a NIC of its own), next hop if it has one, and MAC address."""

    interface: str
    address: IPv4Interface
    nexthop: IPv4Address | None
    mac: str


def with_announcement(options: str, announcement: Announcement | None) -> str:
    """`ovn-cms-options` with this announcement; items of others stay, in their order."""
    items = [item for item in options.split(",") if item and not item.startswith(_PREFIX)]
    if announcement:
        items += [f"{_ADDRESS}={announcement.address}", f"{_INTERFACE}={announcement.interface}"]
        items += [f"{_MAC}={announcement.mac}"]
        items += [f"{_NEXTHOP}={announcement.nexthop}"] if announcement.nexthop else []
    return ",".join(items)


def announced(options: str) -> Announcement | None:
    """The announcement in `ovn-cms-options`; None when there is none that can be understood."""
    items = dict(item.split("=", 1) for item in options.split(",") if item.startswith(_PREFIX) and "=" in item)
    try:
        nexthop = IPv4Address(items[_NEXTHOP]) if _NEXTHOP in items else None
        return Announcement(items[_INTERFACE], IPv4Interface(items[_ADDRESS]), nexthop, items[_MAC])
    except (KeyError, ValueError):
        return None
