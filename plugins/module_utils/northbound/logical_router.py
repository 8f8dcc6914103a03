# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Logical routers (ovn-nb(5), Logical_Router)."""

from __future__ import annotations

from .forms import between, joined
from .kind import Kind, Option, external_ids, in_map, names_of, raw_map

KIND = Kind(
    module="ovn_logical_router",
    plural="routers",
    section="routers",
    table="Logical_Router",
    text="The routers.",
    key=("name",),
    options=(
        Option("name", "Name of the router. The database lets several routers share one; that is an error here."),
        Option("enabled", "Whether packets are routed. Empty in the database means that they are.", type="bool"),
        in_map("options", "chassis", "The chassis on which the whole router lives, which makes it a gateway router."),
        in_map(
            "options",
            "lb_force_snat_ip",
            "Addresses that load-balanced packets are sent from, or V(router_ip) alone.",
            type="list",
            elements="str",
            form=joined(" "),
        ),
        in_map(
            "options",
            "dnat_force_snat_ip",
            "Addresses that packets to a translated destination are sent from.",
            type="list",
            elements="str",
            form=joined(" "),
        ),
        in_map("options", "mcast_relay", "Whether multicast is routed.", type="bool"),
        in_map(
            "options",
            "dynamic_neigh_routers",
            "Whether addresses of neighbouring routers are resolved by ARP rather than known beforehand.",
            type="bool",
        ),
        in_map(
            "options",
            "always_learn_from_arp_request",
            "Whether every ARP request teaches the router an address, also one it has no use for.",
            type="bool",
        ),
        in_map(
            "options",
            "snat_ct_zone",
            "Conntrack zone of source NAT, 0 to 65535.",
            key="snat-ct-zone",
            type="int",
            form=between(0, 65535),
        ),
        in_map(
            "options",
            "mac_binding_age_threshold",
            "Seconds after which a learned MAC address is forgotten; V(0) keeps it. Newer releases take a list of "
            "networks with seconds each, as V(192.0.2.0/24:60;300).",
        ),
        in_map(
            "options",
            "requested_tnl_key",
            "The tunnel key that the router shall have, 1 to 16777215.",
            key="requested-tnl-key",
            type="int",
            form=between(1, 16777215),
        ),
        names_of("load_balancers", "Load_Balancer", "Names of all load balancers of the router.", "load_balancer"),
        names_of(
            "load_balancer_groups",
            "Load_Balancer_Group",
            "Names of all load balancer groups of the router.",
            "load_balancer_group",
        ),
        Option("copp", "Name of the control plane protection (table C(Copp)) of the router.", refers="Copp"),
        raw_map("options"),
        external_ids(),
    ),
)
