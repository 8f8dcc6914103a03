# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Static routes (ovn-nb(5), Logical_Router_Static_Route)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from ..core.database import Database
from .forms import NETWORK, Form
from .kind import Holder, Item, Kind, Option, external_ids, in_map, raw_map
from .reading import options_from

FIELDS = ("eth_src", "eth_dst", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst")


def _next_hop(text: str) -> str:
    try:
        if text != "discard":
            ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither an IP address nor discard") from None
    return text


def _complaint(item: Item) -> str | None:
    if item.get("bfd") and not item.get("output_port"):
        return "bfd watches the next hop through a port; give output_port"
    return None


def _completed(item: Item) -> Item:
    bfd = f"{item.get('output_port')} {item['nexthop']}" if item.get("bfd") else ""
    return {**item, "bfd": bfd if item.get("bfd") is not None else None}


def _same_prefix(one: Item, other: Item) -> bool:
    names = ("route_table", "policy", "prefix")
    return all((one.get(name) or DEFAULTS.get(name)) == (other.get(name) or DEFAULTS.get(name)) for name in names)


def _displaced(kind: Kind, item: Item, actual: Database) -> Iterator[str]:
    """The other next hops of the prefix, unless the route is one of several."""
    there = "Logical_Router" in actual.schema.tables and item.get("router") and not item.get("ecmp")
    router = actual.find("Logical_Router", item["router"]) if there else None
    for uuid in router.columns.get("static_routes", ()) if router else ():
        row = actual.get(kind.table, uuid)
        if row:
            other = {**options_from(kind.options, row, actual), "router": item["router"]}
            if _same_prefix(item, other) and kind.title(item) != kind.title(other):
                yield actual.title(kind.table, uuid)


def _noticed(item: Item, found: list[dict[str, Any]]) -> Item:
    same = [other for other in found if other["router"] == item["router"] and _same_prefix(item, other)]
    return {"ecmp": True} if len(same) > 1 else {}


DEFAULTS = {"route_table": "", "policy": "dst-ip"}

KIND = Kind(
    module="ovn_static_route",
    plural="routes",
    section="static_routes",
    table="Logical_Router_Static_Route",
    text="The routes. A route is known by its router, routing table, policy, prefix, next hop and output port.",
    key=("route_table", "policy", "prefix", "nexthop", "output_port"),
    nameless=True,
    found_by=("prefix",),
    holders=(Holder("router", "Logical_Router", "static_routes", "The logical router that has the route."),),
    complaint=_complaint,
    completed=_completed,
    displaced=_displaced,
    exclude_each_other="are next hops of one prefix; say ecmp: true of each",
    noticed=_noticed,
    options=(
        Option(
            "prefix", "The network, or address, that the route leads to.", column="ip_prefix", form=NETWORK, needed=True
        ),
        Option(
            "nexthop",
            "The address that packets are handed to, or V(discard).",
            form=Form(_next_hop),
            needed=True,
        ),
        Option(
            "policy",
            "Which address of a packet is looked at. Empty in the database means V(dst-ip).",
            choices=("dst-ip", "src-ip"),
        ),
        Option("output_port", "The router port by which packets leave. OVN finds it by the next hop unless given."),
        Option("route_table", "The routing table that has the route; the main one unless given.", empty=""),
        Option(
            "ecmp",
            "Whether the route is one of several for its prefix, among which packets are spread. Unless it is, other "
            "next hops of the prefix are removed, so that a changed next hop takes the place of the old one.",
            type="bool",
            local=True,
        ),
        Option(
            "bfd",
            "Whether the route holds only while the next hop answers to BFD on the output port. The session is made "
            "with M(ovn_k8s.cluster.ovn_bfd).",
            type="bool",
            refers="BFD",
            form=Form(read=lambda _name: True),
        ),
        Option(
            "selection_fields",
            "What of a packet decides which of several next hops it takes.",
            type="list",
            elements="str",
            choices=FIELDS,
            since="24.09",
        ),
        in_map(
            "options",
            "ecmp_symmetric_reply",
            "Whether replies leave by the next hop that the request came from. On gateway routers only.",
            type="bool",
        ),
        raw_map("options"),
        external_ids(),
    ),
)
