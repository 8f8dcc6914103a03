# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services and their EndpointSlices, cut down to what load balancers need (service_rows)."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, NamedTuple

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
DEFAULT_AFFINITY_S = 10800
LONGEST_AFFINITY_S = 65535
"""What OVN takes at most; Kubernetes allows a day. A longer one becomes this."""


Claim = tuple[str, str, int]
"""An external address, a protocol in capitals and a port, which can be one service's only."""


class ServicePort(NamedTuple):
    """One port of a service or slice: name ('' when it has none), protocol in capitals, number.

    `node_port`: where every node offers it, 0 for nowhere.
    """

    name: str
    protocol: str
    port: int
    node_port: int = 0


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
    external_ips: tuple[str, ...] = ()  # spec.externalIPs, and those of the load balancer that it has been given
    external_local: bool = False  # externalTrafficPolicy: endpoints see who asks
    guarded_ips: tuple[str, ...] = ()  # those of the load balancer, when not everybody may use them
    sources: tuple[str, ...] = ()  # loadBalancerSourceRanges of IPv4: who may use the guarded addresses
    health_port: int = 0  # healthCheckNodePort: where nodes say whether they have endpoints
    uid: str = ""
    created: str = ""  # RFC 3339 in UTC, as the API server writes it, so that the older text is the older service

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def claims(self) -> frozenset[Claim]:
        """The external addresses and ports that it is to be had at."""
        return frozenset((ip, port.protocol, port.port) for ip in self.external_ips for port in self.ports)


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
    balanced = _balanced(spec, document.get("status") or {}) if addresses else set()
    ranges = spec.get("loadBalancerSourceRanges") or ()
    return Service(
        namespace=sys.intern(metadata["namespace"]),
        name=metadata["name"],
        cluster_ips=addresses,
        ports=_ports(spec.get("ports")),
        affinity_s=_affinity(spec),
        local=spec.get("internalTrafficPolicy") == "Local",
        external_ips=tuple(sorted(balanced.union(spec.get("externalIPs") or ()))) if addresses else (),
        external_local=spec.get("externalTrafficPolicy") == "Local",
        guarded_ips=tuple(sorted(balanced)) if ranges else (),
        sources=_sources(ranges),
        health_port=int(spec.get("healthCheckNodePort") or 0) if addresses else 0,
        uid=metadata.get("uid", ""),
        created=metadata.get("creationTimestamp") or "",
    )


def _sources(ranges: Iterable[str]) -> tuple[str, ...]:
    """Networks of IPv4, sorted. Who comes by IPv6 gets nowhere anyway; what cannot be read lets nobody in."""
    networks = set()
    for text in ranges:
        with contextlib.suppress(ValueError):
            networks.add(IPv4Network(text.strip(), strict=False))
    return tuple(map(str, sorted(networks)))


def _balanced(spec: Mapping[str, Any], status: Mapping[str, Any]) -> set[str]:
    """The load balancer's addresses. One of ipMode Proxy is its own: traffic has to pass it."""
    found: set[str] = set()
    if spec.get("type") == "LoadBalancer":
        for ingress in (status.get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip") and ingress.get("ipMode") != "Proxy":
                found.add(ingress["ip"])
    return found


def _affinity(spec: Mapping[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    timeout = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds")
    return min(int(timeout or DEFAULT_AFFINITY_S), LONGEST_AFFINITY_S)


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


def _ports(documents: Iterable[Mapping[str, Any]] | None) -> tuple[ServicePort, ...]:
    return tuple(
        ServicePort(
            sys.intern(port.get("name") or ""),
            sys.intern(port.get("protocol") or "TCP"),
            int(port["port"]),
            int(port.get("nodePort") or 0),
        )
        for port in documents or ()
        if port.get("port") is not None
    )
