# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Address translation (ovn-nb(5), NAT)."""

from __future__ import annotations

import re

from .forms import ADDRESS, MAC_ADDRESS, NETWORK, Form
from .kind import Holder, Item, Kind, Option, external_ids, in_map, raw_map


def _ports(text: str) -> str:
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    if text and not (match and 1 <= int(match[1]) <= int(match[2]) <= 65535):
        raise ValueError(f"{text!r} is no range of ports, such as 1-30000")
    return text


def _complaint(item: Item) -> str | None:
    if item.get("allowed_ext_ips") and item.get("exempted_ext_ips"):
        return "allowed_ext_ips and exempted_ext_ips exclude each other: OVN would pass over the rule; leave one out"
    both = [item.get("external_mac"), item.get("logical_port")]
    if any(both) and item["type"] != "dnat_and_snat":
        return f"external_mac and logical_port are for type dnat_and_snat, not {item['type']}"
    if item["type"] != "snat" and "/" in item["logical_ip"]:
        return f"logical_ip {item['logical_ip']} is a network, which type snat alone takes; give an address"
    return None


KIND = Kind(
    module="ovn_nat",
    plural="rules",
    section="nat_rules",
    table="NAT",
    text="The rules. A rule is known by its router, type, external address, logical address and range of ports.",
    key=("type", "external_ip", "logical_ip", "external_port_range"),
    nameless=True,
    found_by=("external_ip", "logical_ip"),
    holders=(Holder("router", "Logical_Router", "nat", "The logical router that has the rule."),),
    complaint=_complaint,
    options=(
        Option(
            "type",
            "Which address is translated: the source of packets that leave, the destination of those that enter, or "
            "both.",
            choices=("snat", "dnat", "dnat_and_snat"),
            needed=True,
        ),
        Option("external_ip", "The address that is seen outside.", form=ADDRESS, needed=True),
        Option("logical_ip", "The address, or for V(snat) the network, inside.", form=NETWORK, needed=True),
        Option(
            "external_port_range",
            "Ports of which one replaces the source port, as V(1-30000).",
            form=Form(_ports),
            empty="",
        ),
        Option(
            "external_mac",
            "MAC address of the external address, to translate on the chassis of C(logical_port) rather than on "
            "the gateway.",
            form=MAC_ADDRESS,
        ),
        Option("logical_port", "Name of the logical switch port that has the logical address."),
        Option("allowed_ext_ips", "Name of the address set of the only peers that it is for.", refers="Address_Set"),
        Option("exempted_ext_ips", "Name of the address set of peers that it is not for.", refers="Address_Set"),
        Option(
            "gateway_port",
            "Name of the router port where it applies, on a router that has several gateways.",
            refers="Logical_Router_Port",
        ),
        Option("match", "Which packets it is for, in OVN's expression language.", empty="", since="24.03"),
        Option(
            "priority",
            "Rules of a higher one come first among those with a match; 0 to 32767.",
            type="int",
            empty=0,
            since="24.03",
        ),
        in_map("options", "stateless", "Whether to translate without connection tracking.", type="bool"),
        in_map("options", "add_route", "Whether neighbouring routers know the way to the address.", type="bool"),
        raw_map("options"),
        external_ids(),
    ),
)
