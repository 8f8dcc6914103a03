# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A node's bridges and their fixed ports as desired rows of Open vSwitch's database (ovs-vswitchd.conf.db(5))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ovn_k8s.core.database import Database
from ovn_k8s.core.pods import OWNER_PREFIX
from ovn_k8s.core.rows import MapPatch, Parent, Ref, Row
from ovn_k8s.core.topology import ANNOUNCED_NETWORK, gateway_owner, node_owner

from .config import INTEGRATION_BRIDGE, NodeConfig

TABLES = ("Open_vSwitch", "Bridge", "Port", "Interface")
CONTROLLER_KEYS = {"ovn-chassis-id", "ovn-localnet-port", "ovn-l2gateway-port", "ovn-l3gateway-port"}
"""External ids of ovn-controller's own ports (encaps.c and patch.c of OVN)."""
HYBRID_OVERLAY_OWNER = "hybrid-overlay"
"""The owner of br-ext and what belongs to it; the node agent makes them, and they go with the node's place."""

ANNOUNCING_OWNER = "gateway-announcements"
"""The owner of the bridge of a gateway that makes ovn-controller announce addresses (`core.topology`)."""
ANNOUNCING_BRIDGE = "br-announce"
MAPPINGS = "ovn-bridge-mappings"


def announcing_rows(actual: Database, datapath_type: str = "") -> Iterator[Row]:
    """The empty bridge, by itself of br-int's kind; `with_announcing` makes it known to ovn-controller."""
    bridge = actual.find("Bridge", INTEGRATION_BRIDGE)
    kind = datapath_type or (bridge.columns["datapath_type"] if bridge else "")
    columns = {"datapath_type": kind, "fail_mode": "secure"}
    yield from _bridge(ANNOUNCING_BRIDGE, columns, {}, ANNOUNCING_OWNER, actual)


def with_announcing(actual: Database, wanted: bool) -> dict[str, str | None]:
    """External ids of Open vSwitch with the bridge or without; networks of others stay. None: the key goes."""
    stored = next(iter(actual.rows("Open_vSwitch")), None)
    mappings = stored.columns["external_ids"].get(MAPPINGS, "") if stored else ""
    items = [item for item in mappings.split(",") if item and item.partition(":")[0] != ANNOUNCED_NETWORK]
    items += [f"{ANNOUNCED_NETWORK}:{ANNOUNCING_BRIDGE}"] if wanted else []
    return {MAPPINGS: ",".join(items) or None}


def external_ids_row(ids: Mapping[str, str | None]) -> Row:
    """These external ids of Open vSwitch; the others stay."""
    gone = frozenset(key for key, value in ids.items() if value is None)
    patch = MapPatch({key: value for key, value in ids.items() if value is not None}, gone)
    return Row("Open_vSwitch", ".", {"external_ids": patch})


def desired_rows(config: NodeConfig, actual: Database, *, uplink_mac: str, uplink_mtu: int) -> Iterator[Row]:
    """The rows. `uplink_mac` and `uplink_mtu` are those of the underlay NIC, and not used without one.

    The integration bridge is shared with ovn-controller, which makes it when it is first: whoever owns it keeps it.
    """
    owner = node_owner(config.node_name)
    bridge = actual.find("Bridge", INTEGRATION_BRIDGE)
    yield from _bridge(
        INTEGRATION_BRIDGE,
        {"datapath_type": config.datapath_type, "fail_mode": "secure"},
        {},
        bridge.owner if bridge else "",
        actual,
    )
    if config.underlay:
        underlay = config.underlay
        columns = {
            "datapath_type": config.datapath_type,
            "fail_mode": "standalone",
            "other_config": MapPatch({"hwaddr": uplink_mac}),
        }
        yield from _bridge(underlay.bridge, columns, {"mtu_request": uplink_mtu}, owner, actual)
        yield from _port(underlay.interface, underlay.bridge, {}, owner)
    if config.node_subnet:
        management = {
            "type": "internal",
            "mac": config.management_mac,
            "mtu_request": config.mtu,
            "external_ids": MapPatch({"iface-id": config.management_port}),
        }
        yield from _port(config.management_interface, INTEGRATION_BRIDGE, management, owner)
    if config.gateway_interface:
        gateway = {"external_ids": MapPatch({"iface-id": config.gateway_port})}
        yield from _port(config.gateway_interface, INTEGRATION_BRIDGE, gateway, owner)
        yield from announcing_rows(actual, config.datapath_type)
        yield external_ids_row(with_announcing(actual, True))


def patch_rows(bridge: str, node: str) -> Iterator[Row]:
    """The pair of patch ports between a gateway's bridge and the integration bridge.

    The one on the integration bridge is the gateway router's way out, logical port <bridge>_<node>.
    """
    owner = gateway_owner(node)
    outer, inner = f"k8s-patch-{bridge}-{INTEGRATION_BRIDGE}", f"k8s-patch-{INTEGRATION_BRIDGE}-{bridge}"
    logical = {"iface-id": f"{bridge}_{node}"}
    for name, peer, holder, ids in ((outer, inner, bridge, {}), (inner, outer, INTEGRATION_BRIDGE, logical)):
        columns = {"type": "patch", "options": {"peer": peer}, "external_ids": MapPatch(ids)}
        yield from _port(name, holder, columns, owner)


def is_ours(config: NodeConfig, owner: str) -> bool:
    """Whether `remove` takes away rows of this owner: the node's own and its pods'."""
    ours = {HYBRID_OVERLAY_OWNER, ANNOUNCING_OWNER, node_owner(config.node_name)}
    return owner in ours or owner.startswith(OWNER_PREFIX)


def ports_of_controller(actual: Database) -> Iterator[tuple[str, str]]:
    """The ports that ovn-controller has made, by table and name: tunnels and patches to bridges with provider networks.

    It takes them away when it ends in an orderly way, for which it needs the southbound database.
    """
    for port in actual.rows("Port"):
        if not port.owner and CONTROLLER_KEYS & port.columns["external_ids"].keys():
            yield port.table, port.columns["name"]


def _bridge(
    name: str, columns: dict[str, Any], interface: dict[str, Any], owner: str, actual: Database
) -> Iterator[Row]:
    """A bridge and its local port of the same name; the local port of a bridge that was found keeps its owner."""
    yield Row("Bridge", name, columns, owner, Parent("Open_vSwitch", ".", "bridges"))
    stored = actual.find("Port", name)
    yield from _port(name, name, {"type": "internal", **interface}, stored.owner if stored else owner)


def _port(name: str, bridge: str, interface: dict[str, Any], owner: str) -> Iterator[Row]:
    yield Row("Interface", name, interface, owner)
    yield Row("Port", name, {"interfaces": [Ref("Interface", name)]}, owner, Parent("Bridge", bridge, "ports"))
