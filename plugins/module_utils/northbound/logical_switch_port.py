# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Ports of logical switches (ovn-nb(5), Logical_Switch_Port)."""

from __future__ import annotations

from ipaddress import ip_interface

from .forms import ADDRESS, MAC, between, joined, words
from .kind import Holder, Item, Kind, Option, external_ids, in_map, raw_map

TYPES = ("vif", "router", "localnet", "localport", "l2gateway", "vtep", "external", "virtual", "remote")
WORDS = ("unknown", "router", "dynamic")


def is_address(text: str) -> bool:
    """Whether OVN can read an element of `addresses`."""
    first, *rest = text.split() or [""]
    if first in WORDS:
        return first == "dynamic" or not rest
    return bool(MAC.fullmatch(first)) and (rest == ["dynamic"] or all(_is_ip(part) for part in rest))


def is_security(text: str) -> bool:
    """Whether OVN can read an element of `port_security`."""
    first, *rest = text.split() or [""]
    return bool(MAC.fullmatch(first)) and all(_is_ip(part) for part in rest)


def _is_ip(text: str) -> bool:
    try:
        ip_interface(text)
    except ValueError:
        return False
    return True


def _complaint(item: Item) -> str | None:
    for address in item.get("addresses") or ():
        if not is_address(address):
            return (
                f"address {address!r} is none; write a MAC address and IP addresses, separated by spaces, or one of "
                f"{', '.join(WORDS)}"
            )
    for address in item.get("port_security") or ():
        if not is_security(address):
            return (
                f"port_security {address!r} is none; write a MAC address and IP addresses or networks, separated by "
                "spaces"
            )
    if item.get("router_port") and item.get("type") not in (None, "router"):
        return f"router_port makes the port of type router, not {item['type']}; leave one out"
    return None


def _completed(item: Item) -> Item:
    if not item.get("router_port"):
        return item
    addresses = item["addresses"] if item.get("addresses") is not None else ["router"]
    return {**item, "type": item.get("type") or "router", "addresses": addresses}


KIND = Kind(
    module="ovn_logical_switch_port",
    plural="ports",
    section="switch_ports",
    table="Logical_Switch_Port",
    text="The ports.",
    key=("name",),
    holders=(
        Holder(
            "switch",
            "Logical_Switch",
            "ports",
            "The logical switch that has the port, needed to create it. A port that another one has is moved.",
        ),
    ),
    complaint=_complaint,
    completed=_completed,
    options=(
        Option(
            "name",
            "Name of the port, one of its kind in the database. An interface with this C(external_ids:iface-id) is "
            "bound to it.",
        ),
        Option(
            "type",
            "What the port is; V(vif) is the interface of a machine or a container.",
            choices=TYPES,
            form=words({"vif": ""}),
            empty="",
        ),
        in_map(
            "options",
            "router_port",
            "The logical router port at the other end. Makes the port one of type V(router) with, unless addresses are "
            "given, the address V(router).",
            key="router-port",
        ),
        Option(
            "addresses",
            "All addresses of the port, each a MAC address and any number of IP addresses, or V(unknown), V(router) or "
            "V(dynamic). An empty list removes them.",
            type="list",
            elements="str",
        ),
        Option(
            "port_security",
            "All source addresses that the port may send with, each a MAC address and any number of IP addresses or "
            "networks. An empty list lets it send with any.",
            type="list",
            elements="str",
        ),
        Option("enabled", "Whether packets pass. Empty in the database means that they do.", type="bool"),
        Option("parent_name", "Of a container inside a machine, the port of the machine."),
        Option("tag", "VLAN of a nested or C(localnet) port, 1 to 4095.", type="int"),
        Option(
            "tag_request",
            "VLAN that a nested port shall have, up to 4095; V(0) lets OVN choose one.",
            type="int",
        ),
        Option("dhcpv4_options", "Name of the DHCP options for the port's IPv4 address.", refers="DHCP_Options"),
        Option("dhcpv6_options", "Name of the DHCP options for the port's IPv6 address.", refers="DHCP_Options"),
        Option(
            "ha_chassis_group",
            "Of a port of type V(external), the group of chassis that serves it.",
            refers="HA_Chassis_Group",
        ),
        in_map("options", "network_name", "Of a V(localnet) or V(l2gateway) port, the physical network."),
        in_map(
            "options",
            "requested_chassis",
            "Chassis that may have the port, the main one first.",
            key="requested-chassis",
            type="list",
            elements="str",
            form=joined(","),
        ),
        in_map(
            "options",
            "nat_addresses",
            "Of a router's port, V(router) to announce the addresses of its NAT, or addresses.",
            key="nat-addresses",
        ),
        in_map("options", "qos_max_rate", "Most bits a second that the port may send.", type="int"),
        in_map("options", "qos_min_rate", "Bits a second that the port can count on.", type="int"),
        in_map("options", "qos_burst", "Bits that may be sent at once above the rate.", type="int"),
        in_map("options", "mcast_flood", "Whether all multicast goes to the port.", type="bool"),
        in_map("options", "mcast_flood_reports", "Whether multicast reports go to the port.", type="bool"),
        in_map(
            "options",
            "virtual_ip",
            "Of a V(virtual) port, the address that one of its parents has at a time.",
            key="virtual-ip",
            form=ADDRESS,
        ),
        in_map(
            "options",
            "virtual_parents",
            "Of a V(virtual) port, the names of the ports that may have the address.",
            key="virtual-parents",
            type="list",
            elements="str",
            form=joined(","),
        ),
        in_map(
            "options",
            "requested_tnl_key",
            "The tunnel key that the port shall have, 1 to 32767.",
            key="requested-tnl-key",
            type="int",
            form=between(1, 32767),
        ),
        raw_map("options"),
        external_ids(),
    ),
)
