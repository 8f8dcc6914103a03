# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Load balancers (ovn-nb(5), Load_Balancer and Load_Balancer_Health_Check)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from ..core.database import Database
from ..core.errors import MissingReference
from ..core.rows import Ref, Row, SetPatch
from .forms import Form, between, joined
from .kind import Children, Item, Kind, Option, external_ids, in_map, raw_map

HEALTH_CHECK_OPTIONS = {
    "interval": "Seconds between two checks.",
    "timeout": "Seconds after which a check has failed.",
    "success_count": "Successes in a row after which a backend is up again.",
    "failure_count": "Failures in a row after which a backend is down.",
}
ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9.]+):(\d+)")


def _endpoint(text: str) -> None:
    """`address` or `address:port`, an IPv6 address with a port in brackets; or a template's variable."""
    if "^" in text:
        return
    match = ENDPOINT.fullmatch(text)
    try:
        ip_address(match[1].strip("[]") if match else text)
        if match and not 1 <= int(match[2]) <= 65535:
            raise ValueError
    except ValueError:
        raise ValueError(f"{text!r} is not address:port (with an IPv6 address in brackets) or an address") from None


def _write_vips(vips: dict[str, Any]) -> dict[str, str]:
    written = {}
    for vip, backends in vips.items():
        members = backends if isinstance(backends, list) else [part for part in str(backends or "").split(",") if part]
        for text in (vip, *members):
            _endpoint(str(text).strip())
        written[str(vip)] = ",".join(str(member).strip() for member in members)
    return written


def _read_vips(stored: dict[str, str]) -> dict[str, list[str]]:
    return {vip: [part.strip() for part in text.split(",") if part.strip()] for vip, text in stored.items()}


def _complaint(item: Item) -> str | None:
    for check in item.get("health_checks") or ():
        vips = item.get("vips")
        if vips is not None and check.get("vip") not in vips:
            return f"health check of {check.get('vip')}, which is none of the vips"
    return None


def _groups(kind: Kind, item: Item, owner: str, actual: Database) -> Iterator[Row]:
    """The groups that the load balancer enters, and those of the owner that it leaves."""
    if item.get("groups") is None:
        return
    stored = actual.find(kind.table, item["name"]) if kind.table in actual.schema.tables else None
    there = {str(group.columns["name"]): group for group in actual.rows("Load_Balancer_Group")}
    for name in sorted({*item["groups"]}):
        if name not in there and actual.schema.tables:
            raise MissingReference(
                f"{kind.table} {item['name']!r} refers to Load_Balancer_Group {name!r}, which does not exist; "
                "create it first"
            )
        enter = SetPatch(add=frozenset([Ref(kind.table, item["name"])]))
        yield Row("Load_Balancer_Group", name, {"load_balancer": enter}, owner)
    for name, group in sorted(there.items()):
        inside = stored is not None and stored.uuid in group.columns.get("load_balancer", ())
        if stored and inside and name not in item["groups"] and actual.owner_of(group) == owner:
            yield Row("Load_Balancer_Group", name, {"load_balancer": SetPatch(remove=frozenset([stored.uuid]))}, owner)


KIND = Kind(
    module="ovn_load_balancer",
    plural="load_balancers",
    section="load_balancers",
    table="Load_Balancer",
    text="The load balancers.",
    key=("name",),
    complaint=_complaint,
    further=_groups,
    related={"Load_Balancer_Group": ("load_balancer",)},
    options=(
        Option("name", "Name of the load balancer. The database lets several share one; that is an error here."),
        Option(
            "vips",
            "All virtual addresses with their backends, a dictionary of lists, as "
            "V({'192.0.2.1:80': ['10.0.0.2:80']}). With a protocol each has a port; an IPv6 address with a port stands "
            "in brackets.",
            type="dict",
            form=Form(_write_vips, _read_vips),
            empty={},
        ),
        Option(
            "protocol",
            "The protocol of addresses with ports. Empty in the database means V(tcp).",
            choices=("tcp", "udp", "sctp"),
        ),
        Option(
            "groups",
            "Names of all load balancer groups that it is in; it leaves others. They must be there, and nobody's else.",
            type="list",
            elements="str",
            local=True,
            alone=True,
        ),
        Option(
            "health_checks",
            "All virtual addresses whose backends are checked; others are removed.",
            type="list",
            elements="dict",
            column="health_check",
            children=Children(
                "Load_Balancer_Health_Check",
                ("vip",),
                (
                    Option("vip", "The virtual address, as in C(vips).", needed=True),
                    *(
                        in_map("options", name, description, type="int", form=between(1, 2**31))
                        for name, description in HEALTH_CHECK_OPTIONS.items()
                    ),
                ),
            ),
        ),
        Option(
            "ip_port_mappings",
            "For health checks, the logical port of each backend and the address to check it from, a dictionary as "
            "V({'10.0.0.2': 'web1:10.0.0.100'}).",
            type="dict",
            empty={},
        ),
        Option(
            "selection_fields",
            "What of a packet decides which backend it goes to.",
            type="list",
            elements="str",
            choices=("eth_src", "eth_dst", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst"),
        ),
        in_map(
            "options",
            "affinity_timeout",
            "Seconds for which a client keeps its backend, 1 to 65535.",
            type="int",
            form=between(1, 65535),
        ),
        in_map("options", "reject", "Whether packets are refused while there is no backend.", type="bool"),
        in_map("options", "event", "Whether an event is raised while there is no backend.", type="bool"),
        in_map(
            "options",
            "hairpin_snat_ip",
            "Addresses from which a backend that reaches itself is answered, instead of the virtual one.",
            type="list",
            elements="str",
            form=joined(" "),
        ),
        in_map(
            "options", "skip_snat", "Whether the router's forced source NAT leaves these packets alone.", type="bool"
        ),
        in_map("options", "add_route", "Whether neighbouring routers know the way to the addresses.", type="bool"),
        in_map(
            "options",
            "neighbor_responder",
            "For which virtual addresses the router answers ARP.",
            choices=("reachable", "all", "none"),
        ),
        in_map("options", "ct_flush", "Whether connections to a backend that goes are cut.", type="bool"),
        raw_map("options"),
        external_ids(),
    ),
)
