# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Bridges that stand for one VLAN of another bridge; ovs-vsctl(8) calls them fake bridges.

In the database such a bridge is a port of its parent, with a tag and with `fake_bridge`. Its external ids carry a
prefix there, and the ports that were given to it are access ports of its VLAN on the parent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .core.database import Database
from .core.values import Uuid

IDS_PREFIX = "fake-bridge-"


@dataclass(frozen=True)
class VlanBridge:
    """The bridge `name` stands for `vlan` of the bridge `parent`."""

    name: str
    parent: str
    vlan: int


def vlan_bridges(actual: Database) -> dict[str, VlanBridge]:
    """All of them by name."""
    result = {}
    for bridge in actual.rows("Bridge"):
        for uuid in bridge.columns["ports"]:
            port = actual.get("Port", uuid)
            if port and port.columns["fake_bridge"] and port.columns["tag"] is not None:
                name = str(port.columns["name"])
                result[name] = VlanBridge(name, str(bridge.columns["name"]), int(port.columns["tag"]))
    return result


def members(bridge: VlanBridge, actual: Database) -> Iterator[str]:
    """The names of its ports, without its own."""
    parent = actual.find("Bridge", bridge.parent)
    uuids: frozenset[Uuid] = parent.columns["ports"] if parent else frozenset()
    for uuid in uuids:
        port = actual.get("Port", uuid)
        if port and port.columns["tag"] == bridge.vlan and port.columns["name"] not in (bridge.name, bridge.parent):
            yield str(port.columns["name"])
