# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Ports of logical routers (ovn-nb(5), Logical_Router_Port and Gateway_Chassis)."""

from __future__ import annotations

from . import chassis
from .forms import INTERFACES, MAC_ADDRESS, between
from .kind import Children, Holder, Item, Kind, Option, external_ids, in_map, raw_map


def _complaint(item: Item) -> str | None:
    if item.get("gateway_chassis") and item.get("ha_chassis_group"):
        return "gateway_chassis and ha_chassis_group exclude each other; leave one out"
    return None


KIND = Kind(
    module="ovn_logical_router_port",
    plural="ports",
    section="router_ports",
    table="Logical_Router_Port",
    text="The ports.",
    key=("name",),
    holders=(
        Holder(
            "router",
            "Logical_Router",
            "ports",
            "The logical router that has the port, needed to create it. A port that another one has is moved.",
        ),
    ),
    complaint=_complaint,
    options=(
        Option("name", "Name of the port, one of its kind in the database."),
        Option("mac", "MAC address of the port, in quotes. Needed to create it.", form=MAC_ADDRESS, needed=True),
        Option(
            "networks",
            "All addresses of the port with their prefix lengths, as V(192.0.2.1/24). Needed to create it.",
            type="list",
            elements="str",
            form=INTERFACES,
            needed=True,
        ),
        Option("peer", "The port of another router that this one is joined to without a switch between them."),
        Option("enabled", "Whether packets pass. Empty in the database means that they do.", type="bool"),
        Option(
            "gateway_chassis",
            "All chassis that may be the gateway of a distributed router; others are removed. An empty list makes the "
            "port an ordinary one.",
            type="list",
            elements="dict",
            children=Children(
                "Gateway_Chassis",
                ("chassis",),
                chassis.OPTIONS,
                fresh=lambda port, child: {"name": f"{port}-{child['chassis']}"},
            ),
        ),
        Option(
            "ha_chassis_group",
            "Name of the HA chassis group of which one chassis is the gateway.",
            refers="HA_Chassis_Group",
        ),
        in_map(
            "options",
            "gateway_mtu",
            "Packets that are larger are answered with ICMP in place of being sent; 68 to 65535.",
            type="int",
            form=between(68, 65535),
        ),
        in_map(
            "options",
            "redirect_type",
            "How packets reach the gateway.",
            key="redirect-type",
            choices=("overlay", "bridged"),
        ),
        in_map(
            "options",
            "reside_on_redirect_chassis",
            "Whether packets are routed on the gateway of the router's other port, as VLAN networks need it.",
            key="reside-on-redirect-chassis",
            type="bool",
        ),
        in_map("options", "mcast_flood", "Whether all multicast goes to the port.", type="bool"),
        in_map("options", "route_table", "The routing table by which packets that enter here are routed first."),
        in_map("options", "prefix_delegation", "Whether IPv6 prefixes are asked for on this port.", type="bool"),
        in_map("options", "prefix", "Whether the port takes a prefix that was delegated.", type="bool"),
        in_map(
            "options",
            "requested_tnl_key",
            "The tunnel key that the port shall have, 1 to 32767.",
            key="requested-tnl-key",
            type="int",
            form=between(1, 32767),
        ),
        in_map(
            "ipv6_ra_configs",
            "ipv6_address_mode",
            "How machines get IPv6 addresses; sends router advertisements.",
            key="address_mode",
            choices=("slaac", "dhcpv6_stateful", "dhcpv6_stateless"),
        ),
        in_map(
            "ipv6_ra_configs",
            "ipv6_send_periodic",
            "Whether router advertisements are sent unasked, too.",
            key="send_periodic",
            type="bool",
        ),
        in_map("ipv6_ra_configs", "ipv6_mtu", "MTU that advertisements name.", key="mtu", type="int"),
        raw_map("ipv6_ra_configs"),
        raw_map("options"),
        external_ids(),
    ),
)
