# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services: what of a Service and its EndpointSlices matters, and the load balancers that they want."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .rows import Parent, Row
from .topology import LOAD_BALANCER_GROUP

OWNER_PREFIX = "service/"
PROTOCOLS = ("TCP", "UDP", "SCTP")
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
AFFINITY_SCHEMA = (7, 0, 0)
"""Northbound schema of OVN 22.12, the first whose load balancers know `affinity_timeout`."""

DEFAULT_AFFINITY_S = 10800
LONGEST_AFFINITY_S = 65535
"""What OVN takes at most; Kubernetes allows a day. A longer one becomes this."""

HAIRPIN_SOURCE = "169.254.0.5"
"""Source that a pod sees when a service sends its own connection back to it: link-local, nobody's address."""


class ServicePort(NamedTuple):
    """One port of a service: name ('' when it has none), protocol in capitals, number."""

    name: str
    protocol: str
    port: int


class Endpoint(NamedTuple):
    """One endpoint: address, node ('' when unknown) and the conditions of its EndpointSlice."""

    address: str
    node: str
    ready: bool
    serving: bool
    terminating: bool


@dataclass(frozen=True, slots=True)
class Service:
    """A Service cut down to what the load balancers need."""

    namespace: str
    name: str
    cluster_ips: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    affinity_s: int = 0  # for how long a client stays with its endpoint; 0: every connection anew
    local: bool = False  # internalTrafficPolicy: only endpoints of the client's own node

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """An EndpointSlice; `service` is the name of the service that it belongs to, '' for none."""

    namespace: str
    name: str
    service: str
    address_type: str
    ports: tuple[ServicePort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


def service_from_api(document: Mapping[str, Any]) -> Service:
    """Read a v1 Service. One without cluster addresses (headless, ExternalName) or with a proxy of its own has none."""
    metadata = document["metadata"]
    spec = document.get("spec") or {}
    addresses: tuple[str, ...] = ()
    elsewhere = PROXY_NAME_LABEL in (metadata.get("labels") or {})
    if spec.get("type") != "ExternalName" and not elsewhere:
        given = spec.get("clusterIPs") or [spec.get("clusterIP")]
        addresses = tuple(address for address in given if address and address != "None")
    return Service(
        namespace=sys.intern(metadata["namespace"]),
        name=metadata["name"],
        cluster_ips=addresses,
        ports=_ports(spec.get("ports")),
        affinity_s=_affinity(spec),
        local=spec.get("internalTrafficPolicy") == "Local",
    )


def _affinity(spec: Mapping[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    timeout = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    return min(int(timeout or DEFAULT_AFFINITY_S), LONGEST_AFFINITY_S)


def knows_affinity(schema_version: str) -> bool:
    """Whether the load balancers of a northbound schema can keep a client at its endpoint."""
    try:
        return tuple(int(part) for part in schema_version.split(".")) >= AFFINITY_SCHEMA
    except ValueError:
        return False


def endpoint_slice_from_api(document: Mapping[str, Any]) -> EndpointSlice:
    """Read a discovery.k8s.io/v1 EndpointSlice. A condition that is not given means ready, serving, not terminating."""
    metadata = document["metadata"]
    endpoints = []
    for endpoint in document.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        ready = conditions.get("ready")
        serving = conditions.get("serving")
        # All addresses of one endpoint are the same endpoint; consumers take the first (API reference).
        for address in (endpoint.get("addresses") or ())[:1]:
            endpoints.append(
                Endpoint(
                    address=address,
                    node=sys.intern(endpoint.get("nodeName") or ""),
                    ready=ready is not False,
                    serving=(ready is not False) if serving is None else bool(serving),
                    terminating=bool(conditions.get("terminating")),
                )
            )
    return EndpointSlice(
        namespace=sys.intern(metadata["namespace"]),
        name=metadata["name"],
        service=(metadata.get("labels") or {}).get(SERVICE_NAME_LABEL, ""),
        address_type=document.get("addressType", "IPv4"),
        ports=_ports(document.get("ports")),
        endpoints=tuple(sorted(set(endpoints))),
    )


def service_owner(namespace: str, name: str) -> str:
    """`ovn-k8s-owner` of a service's rows."""
    return f"{OWNER_PREFIX}{namespace}/{name}"


def load_balancer_name(namespace: str, name: str, protocol: str) -> str:
    """Name of a service's load balancer for one protocol."""
    return f"service_{namespace}_{name}_{protocol.lower()}"


def load_balancer_names(namespace: str, name: str) -> tuple[str, ...]:
    """Every load balancer name that a service can have."""
    return tuple(load_balancer_name(namespace, name, protocol) for protocol in PROTOCOLS)


def service_load_balancers(
    service: Service, slices: Iterable[EndpointSlice], nodes: Iterable[str] = (), *, affinity: bool = True
) -> tuple[Row, ...]:
    """Load balancers of a service: one per protocol that it uses, each with a virtual address per port and family.

    A port without usable endpoints keeps its virtual address with no backends: with `reject` the client is refused at
    once and does not wait for a timeout.

    They are in the group that all switches share. With internalTrafficPolicy Local each of the `nodes` has its own on
    its switch instead, with the endpoints of that node. `affinity`: whether this OVN can keep clients at endpoints.
    """
    slices = tuple(slices)
    rows = []
    for protocol in PROTOCOLS:
        ports = [port for port in service.ports if port.protocol == protocol]
        if not ports or not service.cluster_ips:
            continue
        name = load_balancer_name(service.namespace, service.name, protocol)
        if service.local:
            for node in nodes:
                parent = Parent("Logical_Switch", node, "load_balancer")
                vips = _vips(service, ports, slices, node)
                rows.append(_load_balancer(service, protocol, f"{name}_node_{node}", parent, vips, affinity))
        else:
            parent = Parent("Load_Balancer_Group", LOAD_BALANCER_GROUP, "load_balancer")
            vips = _vips(service, ports, slices, None)
            rows.append(_load_balancer(service, protocol, name, parent, vips, affinity))
    return tuple(rows)


def _load_balancer(
    service: Service, protocol: str, name: str, parent: Parent, vips: dict[str, str], affinity: bool
) -> Row:
    options = {"reject": "true", "hairpin_snat_ip": HAIRPIN_SOURCE}
    if service.affinity_s and affinity:
        options["affinity_timeout"] = str(service.affinity_s)
    return Row(
        table="Load_Balancer",
        name=name,
        owner=service_owner(service.namespace, service.name),
        parent=parent,
        columns={
            "protocol": protocol.lower(),
            "vips": vips,
            "options": options,
            "external_ids": {"namespace": service.namespace, "service": service.name},
        },
    )


def _vips(
    service: Service, ports: Iterable[ServicePort], slices: Iterable[EndpointSlice], node: str | None
) -> dict[str, str]:
    return {
        _socket(address, port.port): _backends(port, "IPv6" if ":" in address else "IPv4", slices, node)
        for address in service.cluster_ips
        for port in ports
    }


def _backends(port: ServicePort, family: str, slices: Iterable[EndpointSlice], node: str | None) -> str:
    """Endpoints of a port (on one node), sorted: the same endpoints always give the same string.

    The ready ones. When there is none, those that end but serve still (KEP-1669), so that a rollout loses nothing. What
    publishNotReadyAddresses says is in the conditions already: the control plane calls such endpoints ready.
    """
    ready: set[tuple[str, int]] = set()
    ending: set[tuple[str, int]] = set()
    for part in slices:
        if part.address_type != family:
            continue
        for target in part.ports:
            if target.name == port.name and target.protocol == port.protocol:
                for endpoint in part.endpoints:
                    if node is not None and endpoint.node != node:
                        continue
                    if endpoint.ready:
                        ready.add((endpoint.address, target.port))
                    elif endpoint.serving and endpoint.terminating:
                        ending.add((endpoint.address, target.port))
    return ",".join(_socket(address, number) for address, number in sorted(ready or ending))


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _ports(documents: Iterable[Mapping[str, Any]] | None) -> tuple[ServicePort, ...]:
    return tuple(
        ServicePort(sys.intern(port.get("name") or ""), sys.intern(port.get("protocol") or "TCP"), int(port["port"]))
        for port in documents or ()
        if port.get("port") is not None
    )
