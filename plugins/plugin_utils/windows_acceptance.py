# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What an acceptance of a Windows machine tries on its HNS, in order: each step with what must come of it.

All of it happens in a network of its own beside those of the node, and is removed at the end. The steps are the
assumptions of this collection about HNS, one by one, so that a report tells which of them a real one does not share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NETWORK = "ovn-k8s-acceptance"
ENDPOINT = "ovn-k8s-acceptance-1"
PREFIX, GATEWAY, VSID = "198.18.0.0/24", "198.18.0.1", 4099
"""Of the network for benchmarks (RFC 2544), which no cluster has pods in."""
VIP = "198.18.255.1"

Wanted = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Step:
    """Wanted objects, and what planning and applying them must say.

    `actions` are the plan's, in its words; None takes any, as long as there are some. `refused` is a word of the
    error that must come instead. After a step that applied, the same plan must be empty.
    """

    title: str
    wanted: Wanted
    actions: tuple[str, ...] | None = None
    refused: str = ""
    options: Mapping[str, bool] = field(default_factory=dict)
    needs: str = ""
    """A feature of HNS without which the step is left out."""


def steps(adapter: str) -> list[Step]:
    """The steps, for a machine whose overlays are on this adapter."""
    network: dict[str, Any] = {
        "name": NETWORK,
        "type": "Overlay",
        "adapter": adapter,
        "persistent": False,
        "subnets": [{"prefix": PREFIX, "gateway": GATEWAY, "vsid": VSID}],
    }
    remote = {
        "prefix": "198.18.1.0/24",
        "isolation_id": VSID,
        "provider_address": "192.0.2.1",
        "router_mac": "0a:58:c6:12:01:03",
    }
    other = {**network, "subnets": [{"prefix": "198.18.2.0/24", "gateway": "198.18.2.1", "vsid": VSID}]}
    endpoint: dict[str, Any] = {"name": ENDPOINT, "network": NETWORK, "addresses": ["198.18.0.7"]}
    balancer: dict[str, Any] = {
        "vips": [VIP],
        "ports": [{"protocol": "tcp", "external_port": 80, "internal_port": 8080}],
        "endpoints": [ENDPOINT],
    }
    gone: dict[str, Any] = {"name": NETWORK, "state": "absent"}

    def networks(**options: Any) -> Wanted:
        return {"networks": [{**network, **options}]}

    def only(**options: Any) -> Wanted:
        return {"networks": [{"name": NETWORK, **options}]}

    create, update = f"create network {NETWORK}", f"modify network {NETWORK}"
    return [
        Step("begin with nothing", {"networks": [gone]}, actions=()),
        Step("network: made", networks(), actions=(create,)),
        Step("network: DNS set in place", only(dns={"domain": "a.test", "servers": ["192.0.2.53"]}), actions=(update,)),
        Step("network: DNS changed", only(dns={"domain": "b.test", "servers": ["192.0.2.54"]}), actions=(update,)),
        Step("network: host route set", only(host_route=True), actions=(update,), needs="host_route"),
        Step("network: host route unset", only(host_route=False), actions=(update,), needs="host_route"),
        Step("network: route to a node", only(remote_subnets=[remote]), actions=(update,), needs="remote_subnet"),
        Step("network: route changed", only(remote_subnets=[{**remote, "provider_address": "192.0.2.2"}])),
        Step("network: route removed", only(remote_subnets=[]), actions=(update,), needs="remote_subnet"),
        Step("network: other subnet refused", {"networks": [other]}, refused="replace"),
        Step("endpoint: made", {"endpoints": [endpoint]}, actions=(f"create endpoint {ENDPOINT}",)),
        Step(
            "endpoint: other address refused", {"endpoints": [{**endpoint, "addresses": ["198.18.0.8"]}]}, refused="rep"
        ),
        Step("load balancer: made", {"load_balancers": [balancer]}),
        Step("load balancer: removed", {"load_balancers": [{**balancer, "state": "absent"}]}),
        Step("network: replaced, with what is on it", {"networks": [other]}, options={"replace": True, "force": True}),
        Step("network: removed", {"networks": [gone]}, options={"force": True}),
    ]
