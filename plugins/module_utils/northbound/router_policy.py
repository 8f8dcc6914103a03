# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Routing policies (ovn-nb(5), Logical_Router_Policy)."""

from __future__ import annotations

from .forms import ADDRESSES, between
from .kind import Holder, Item, Kind, Option, external_ids, in_map, names_of, raw_map


def _complaint(item: Item) -> str | None:
    if item.get("nexthops") and item.get("action") not in (None, "reroute"):
        return f"nexthops go with action reroute, not {item['action']}"
    if item.get("action") == "jump" and not item.get("jump_chain"):
        return "action jump needs jump_chain, which says where to"
    return None


KIND = Kind(
    module="ovn_router_policy",
    plural="policies",
    section="router_policies",
    table="Logical_Router_Policy",
    text="The policies. A policy is known by its router, chain, priority and match.",
    key=("chain", "priority", "match"),
    nameless=True,
    found_by=("priority", "match"),
    holders=(Holder("router", "Logical_Router", "policies", "The logical router that has the policy."),),
    complaint=_complaint,
    options=(
        Option("priority", "Policies of a higher one come first; 0 to 32767.", type="int", needed=True),
        Option(
            "match",
            "Which packets it is for, in OVN's expression language, as V(ip4.src == 192.0.2.0/24).",
            needed=True,
        ),
        Option(
            "action",
            "What happens to them. Needed to create it.",
            choices=("allow", "drop", "reroute", "jump"),
            needed=True,
        ),
        Option(
            "nexthops",
            "The addresses that packets are rerouted to, spread among several.",
            type="list",
            elements="str",
            form=ADDRESSES,
        ),
        Option("chain", "The chain that the policy is in; the main one unless given.", since="24.09"),
        Option("jump_chain", "With action V(jump), the chain to go on with.", since="24.09"),
        names_of(
            "bfd_sessions",
            "BFD",
            "BFD sessions of the next hops, each as router port and address with a space between them.",
            since="24.09",
        ),
        Option("output_port", "The router port by which packets leave.", refers="Logical_Router_Port", since="25.03"),
        in_map("options", "pkt_mark", "Mark that packets are given.", type="int", form=between(0, 2**32 - 1)),
        raw_map("options"),
        external_ids(),
    ),
)
