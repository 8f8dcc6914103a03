# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Networks, endpoints, namespaces and load balancers as people mean them.

In a wanted object, None is an option that nobody manages: it is left to HNS at creation and as it is afterwards. An
object that was read from HNS has a value everywhere. Addresses are texts in canonical form, MAC addresses have the
form of HNS (`00-15-5D-52-C0-00`), ids are lower-case GUIDs without braces.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

NETWORK_TYPES = ("NAT", "Transparent", "L2Bridge", "L2Tunnel", "ICS", "Private", "Overlay", "Internal")
EXTERNAL_TYPES = frozenset({"Transparent", "L2Bridge", "L2Tunnel", "Overlay"})
"""Types whose first network on an adapter makes a virtual switch, during which the adapter loses its connections."""

SMALLEST_OVERLAY_VSID = 4096
"""Windows refuses overlay networks with a smaller VXLAN network identifier."""


@dataclass(frozen=True)
class Route:
    """A route by way of `next_hop`; metric 0 is none."""

    destination: str
    next_hop: str
    metric: int = 0


@dataclass(frozen=True)
class Subnet:
    """An address range of a network. `routes` are those besides the default route to `gateway`."""

    prefix: str
    gateway: str = ""
    vsid: int = 0
    vlan: int = 0
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True)
class Dns:
    """What containers are told about name resolution."""

    domain: str = ""
    search: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoteSubnet:
    """Pods of another node: their prefix, the node's address and the MAC that its overlay router answers to."""

    prefix: str
    isolation_id: int
    provider_address: str
    router_mac: str


@dataclass(frozen=True)
class Policy:
    """A policy that has no option of its own. `settings` is JSON with sorted keys."""

    type: str
    settings: str = "{}"

    @classmethod
    def of(cls, type_: str, settings: Mapping[str, Any] | None = None) -> Policy:
        return cls(type_, json.dumps(settings or {}, sort_keys=True))

    def document(self) -> dict[str, Any]:
        """As HCN v2 writes it."""
        return {"Type": self.type, "Settings": json.loads(self.settings)}


@dataclass(frozen=True)
class Network:
    """An HNS network. `router_mac` and `id` are only read."""

    name: str
    type: str | None = None
    adapter: str | None = None
    subnets: tuple[Subnet, ...] | None = None
    source_mac: str | None = None
    provider_address: str | None = None
    dns: Dns | None = None
    automatic_dns: bool | None = None
    vxlan_port: int | None = None
    host_route: bool | None = None
    host_port: bool | None = None
    persistent: bool | None = None
    remote_subnets: tuple[RemoteSubnet, ...] | None = None
    extensions: tuple[tuple[str, bool], ...] | None = None
    policies: tuple[Policy, ...] | None = None
    router_mac: str = ""
    id: str = ""


@dataclass(frozen=True)
class Address:
    """An endpoint's address; prefix length 0 in a wanted endpoint is that of the network."""

    address: str
    prefix_length: int = 0


@dataclass(frozen=True)
class Endpoint:
    """An HNS endpoint. `network` is a name in a wanted endpoint and an id in one that was read."""

    name: str
    network: str | None = None
    addresses: tuple[Address, ...] | None = None
    mac: str | None = None
    gateway: str | None = None
    routes: tuple[Route, ...] | None = None
    dns: Dns | None = None
    namespace: str | None = None
    remote: bool | None = None
    policies: tuple[Policy, ...] | None = None
    id: str = ""


@dataclass(frozen=True)
class Namespace:
    """A network namespace (compartment) and what is in it, by id."""

    id: str
    type: str = "Host"
    compartment: int = 0
    endpoints: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()


@dataclass(frozen=True)
class PortMapping:
    """One port of a load balancer. Protocol is an IP protocol number."""

    protocol: int
    external_port: int
    internal_port: int
    distribution: int = 0
    internal: bool = False
    local_routed_vip: bool = False
    use_mux: bool = False
    preserve_destination: bool = False


@dataclass(frozen=True)
class LoadBalancer:
    """An HNS load balancer, which has no name: frontend addresses and external ports say which one is meant.

    `endpoints` are names (or ids) in a wanted one and ids in one that was read.
    """

    vips: tuple[str, ...]
    ports: tuple[PortMapping, ...]
    endpoints: tuple[str, ...] | None = None
    source_vip: str | None = None
    dsr: bool | None = None
    ipv6: bool | None = None
    id: str = ""

    @property
    def name(self) -> str:
        """What people call it, and its key: `10.96.0.10 6/53 17/53`."""
        ports = sorted(f"{mapping.protocol}/{mapping.external_port}" for mapping in self.ports)
        return " ".join([*sorted(self.vips), *ports])


HnsObject = Network | Endpoint | LoadBalancer


_ONLY_READ = ("id", "router_mac")


def view(value: Any) -> Any:
    """An object as options, for people and JSON; what nobody manages is left out."""
    if isinstance(value, Policy):
        return {"type": value.type, "settings": json.loads(value.settings)}
    if is_dataclass(value) and not isinstance(value, type):
        shown = {field.name: view(getattr(value, field.name)) for field in fields(value)}
        return {name: item for name, item in shown.items() if item is not None and (item or name not in _ONLY_READ)}
    if isinstance(value, tuple):
        if value and all(_is_switch(item) for item in value):
            return dict(value)
        return [view(item) for item in value]
    return value


def _is_switch(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], bool)
