# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Logical switches (ovn-nb(5), Logical_Switch)."""

from __future__ import annotations

from .forms import ADDRESS4, ADDRESS6, MAC_ADDRESS, NETWORK4, between, joined
from .kind import Item, Kind, Option, external_ids, in_map, names_of, raw_map

CONFIG = "other_config"


def _complaint(item: Item) -> str | None:
    if item.get("mcast_querier") and not (item.get("mcast_eth_src") and item.get("mcast_ip4_src")):
        return "mcast_querier needs mcast_eth_src and mcast_ip4_src, the addresses that queries are sent from"
    return None


KIND = Kind(
    module="ovn_logical_switch",
    plural="switches",
    section="switches",
    table="Logical_Switch",
    text="The switches.",
    key=("name",),
    complaint=_complaint,
    options=(
        Option("name", "Name of the switch. The database lets several switches share one; that is an error here."),
        in_map(CONFIG, "subnet", "The IPv4 network from which OVN gives ports their dynamic addresses.", form=NETWORK4),
        in_map(
            CONFIG,
            "exclude_ips",
            "Addresses of the subnet, and ranges such as V(192.0.2.2..192.0.2.9), that no port is given.",
            type="list",
            elements="str",
            form=joined(" "),
        ),
        in_map(CONFIG, "ipv6_prefix", "The first 64 bits of dynamic IPv6 addresses.", form=ADDRESS6),
        in_map(CONFIG, "mac_only", "Whether dynamic addresses are MAC addresses only.", type="bool"),
        in_map(CONFIG, "mcast_snoop", "Whether multicast goes only where somebody has joined the group.", type="bool"),
        in_map(
            CONFIG,
            "mcast_flood_unregistered",
            "Whether multicast of groups that nobody has joined goes everywhere.",
            type="bool",
        ),
        in_map(CONFIG, "mcast_querier", "Whether the switch asks ports for the groups they are in.", type="bool"),
        in_map(CONFIG, "mcast_eth_src", "Source MAC address of multicast queries.", form=MAC_ADDRESS),
        in_map(CONFIG, "mcast_ip4_src", "Source IPv4 address of multicast queries.", form=ADDRESS4),
        in_map(CONFIG, "mcast_ip6_src", "Source IPv6 address of multicast queries.", form=ADDRESS6),
        in_map(CONFIG, "mcast_table_size", "Most multicast groups, 1 to 32766.", type="int", form=between(1, 32766)),
        in_map(
            CONFIG,
            "mcast_idle_timeout",
            "Seconds after which a group without members is forgotten, 15 to 3600.",
            type="int",
            form=between(15, 3600),
        ),
        in_map(
            CONFIG, "mcast_query_interval", "Seconds between two queries, 1 to 3600.", type="int", form=between(1, 3600)
        ),
        in_map(
            CONFIG,
            "vlan_passthru",
            "Whether packets keep the VLAN tags that they come with.",
            key="vlan-passthru",
            type="bool",
        ),
        in_map(
            CONFIG,
            "requested_tnl_key",
            "The tunnel key that the switch shall have, 1 to 16777215.",
            key="requested-tnl-key",
            type="int",
            form=between(1, 16777215),
        ),
        names_of("load_balancers", "Load_Balancer", "Names of all load balancers of the switch.", "load_balancer"),
        names_of(
            "load_balancer_groups",
            "Load_Balancer_Group",
            "Names of all load balancer groups of the switch.",
            "load_balancer_group",
        ),
        names_of("dns_records", "DNS", "Names of all sets of DNS records that the switch answers with."),
        Option("copp", "Name of the control plane protection (table C(Copp)) of the switch.", refers="Copp"),
        raw_map(CONFIG),
        external_ids(),
    ),
)
