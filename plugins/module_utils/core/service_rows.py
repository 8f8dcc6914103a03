# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services as load balancers: of the group that all nodes' switches share, of single switches, of gateways' routers.

Column and option meanings: Load_Balancer in ovn-nb(5). Who meets which: docs/services.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address

from .database import Database
from .node_services import NODE_PORTS_OUTSIDE, NODE_PORTS_WITHIN
from .rows import Parent, Row
from .services import Endpoint, EndpointSlice, Service, ServicePort
from .topology import LOAD_BALANCER_GROUP, gateway_router

OWNER_PREFIX = "service/"
PROTOCOLS = ("TCP", "UDP", "SCTP")
AFFINITY_SCHEMA = (7, 0, 0)
"""Northbound schema of OVN 22.12, the first whose load balancers know `affinity_timeout`."""

HAIRPIN_SOURCE = "169.254.0.5"
"""Source that a pod sees when a service sends its own connection back to it: link-local, nobody's address."""

TABLES = ("Logical_Switch", "Logical_Router", "Logical_Router_Static_Route")
"""What `surroundings` reads, beside the load balancers' own tables."""


@dataclass(frozen=True)
class Gateway:
    """A gateway's router: its name, and the address that the world knows it by ('' when it has none).

    `sources`: the networks whose packets into the world leave by this router and no other; None: everybody's do.
    `answers`: it is the one that answers ARP for addresses of services.
    """

    name: str
    address: str
    sources: tuple[IPv4Network, ...] | None = None
    answers: bool = True

    @property
    def router(self) -> str:
        """The name of its router."""
        return gateway_router(self.name)


@dataclass(frozen=True)
class Surroundings:
    """What services have around them: nodes with a switch, the addresses of nodes, gateways; each sorted."""

    nodes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    gateways: tuple[Gateway, ...] = ()

    @property
    def node_port_addresses(self) -> tuple[str, ...]:
        """Where pods find node ports."""
        return tuple(sorted({*self.addresses, *(gateway.address for gateway in self.gateways if gateway.address)}))


def surroundings(database: Database) -> Surroundings:
    """Read the surroundings from the rows of nodes and gateways (topology.py)."""
    switches = (row.columns for row in database.rows("Logical_Switch"))
    nodes = {str(columns["name"]) for columns in switches if columns["other_config"].get("subnet")}
    addresses: set[str] = set()
    sources: dict[str, list[IPv4Network]] = {}
    for row in database.rows("Logical_Router_Static_Route"):
        kind, _sign, name = row.owner.partition("/")
        if kind == "node" and row.columns["external_ids"].get("ovn-k8s-id") == f"{row.owner}/address":
            addresses.add(str(row.columns["ip_prefix"]).partition("/")[0])
        elif kind == "gateway" and row.columns["policy"] == "src-ip":
            sources.setdefault(name, []).append(IPv4Network(row.columns["ip_prefix"]))
    found = {}
    for row in database.rows("Logical_Router"):
        kind, _sign, name = row.owner.partition("/")
        if kind == "gateway" and row.columns["name"] == gateway_router(name):
            found[name] = str(row.columns["external_ids"].get("physical_ip", ""))
    gateways = tuple(
        Gateway(name, found[name], tuple(sorted(sources.get(name, ()))) if len(found) > 1 else None, number == 0)
        for number, name in enumerate(sorted(found))
    )
    return Surroundings(tuple(sorted(nodes)), tuple(sorted(addresses)), gateways)


def service_owner(namespace: str, name: str) -> str:
    """`ovn-k8s-owner` of a service's rows."""
    return f"{OWNER_PREFIX}{namespace}/{name}"


def load_balancer_name(namespace: str, name: str, protocol: str) -> str:
    """Name of a service's load balancer, in the group, for one protocol."""
    return f"service_{namespace}_{name}_{protocol.lower()}"


def load_balancer_names(namespace: str, name: str) -> tuple[str, ...]:
    """Every name that a service's load balancers in the group can have."""
    return tuple(load_balancer_name(namespace, name, protocol) for protocol in PROTOCOLS)


def knows_affinity(schema_version: str) -> bool:
    """Whether the load balancers of a northbound schema can keep a client at its endpoint."""
    try:
        return tuple(int(part) for part in schema_version.split(".")) >= AFFINITY_SCHEMA
    except ValueError:
        return False


def is_outside(service: Service) -> bool:
    """Whether a service is to be had at other addresses than those of the cluster."""
    return bool(service.external_ips) or any(port.node_port for port in service.ports)


def service_load_balancers(
    service: Service,
    slices: Iterable[EndpointSlice],
    around: Surroundings | None = None,
    *,
    affinity: bool = True,
) -> tuple[Row, ...]:
    """Load balancers of a service: for each protocol that it uses, with a virtual address per port and address.

    A port without usable endpoints keeps its virtual address with no backends: with `reject` the client is refused at
    once and does not wait for a timeout.

    * In the group that all switches share: the cluster addresses, and for pods and nodes also node ports and external
      addresses, which lead to every endpoint from there. For the world, too, node ports by way of a node.
    * With internalTrafficPolicy Local each node has the cluster addresses on its own switch instead, with the endpoints
      of that node; with externalTrafficPolicy Local what the world finds at that node's address.
    * Each gateway's router has node ports at its own address, and the external addresses.

    `affinity`: whether this OVN can keep clients at endpoints.
    """
    if not service.cluster_ips:
        return ()
    around = around or Surroundings()
    slices = tuple(slices)
    rows: list[Row] = []
    for protocol in PROTOCOLS:
        ports = [port for port in service.ports if port.protocol == protocol]
        if not ports:
            continue
        backends = Backends(slices)
        build = _Builder(service, protocol, affinity)
        shared = {} if service.local else backends.vips(service.cluster_ips, ports)
        shared.update(backends.vips(service.external_ips, ports))
        shared.update(backends.node_ports(around.node_port_addresses, ports))
        if around.nodes:
            aliases = (NODE_PORTS_WITHIN,) if service.external_local else (NODE_PORTS_WITHIN, NODE_PORTS_OUTSIDE)
            shared.update(backends.node_ports(map(str, aliases), ports))
        if shared:
            group = Parent("Load_Balancer_Group", LOAD_BALANCER_GROUP, "load_balancer")
            rows.append(build.row("", group, shared))
        for node in around.nodes if service.local or service.external_local else ():
            near = Backends(slices, frozenset({node}))
            vips = near.vips(service.cluster_ips, ports) if service.local else {}
            if service.external_local:
                vips.update(near.node_ports((str(NODE_PORTS_OUTSIDE),), ports))
            if vips:
                rows.append(build.row(f"_node_{node}", Parent("Logical_Switch", node, "load_balancer"), vips))
        if is_outside(service):
            for gateway in around.gateways:
                rows += _gateway_rows(build, gateway, service, backends, ports)
    return tuple(rows)


def _gateway_rows(
    build: _Builder, gateway: Gateway, service: Service, backends: Backends, ports: list[ServicePort]
) -> Iterator[Row]:
    """What a gateway's router answers to.

    With externalTrafficPolicy Local endpoints see who asks. That takes that their answers come back by this gateway,
    which alone knows what to make of them; where that is not certain the gateway asks in its own name.

    What has no endpoints is apart: OVN would refuse in the gateway's own name, too, and the client would not know what
    it is about.
    """
    options = {} if gateway.answers else {"neighbor_responder": "none"}
    unseen = {**options, "skip_snat": "true"}
    if service.external_local:
        near = backends.seen_by(gateway)
        if near is not None:
            backends, options = near, unseen
    vips = backends.vips(service.external_ips, ports)
    vips.update(backends.node_ports((gateway.address,) if gateway.address else (), ports))
    parent = Parent("Logical_Router", gateway.router, "load_balancer")
    served = {vip: text for vip, text in vips.items() if text}
    if served:
        yield build.row(f"_gateway_{gateway.name}", parent, served, options)
    if len(served) < len(vips):
        refused = dict.fromkeys(vips.keys() - served.keys(), "")
        yield build.row(f"_gateway_{gateway.name}_refused", parent, refused, unseen)


class _Builder:
    """Makes the rows of one service and protocol."""

    def __init__(self, service: Service, protocol: str, affinity: bool) -> None:
        self._service, self._protocol = service, protocol
        self._name = load_balancer_name(service.namespace, service.name, protocol)
        self._options = {"reject": "true", "hairpin_snat_ip": HAIRPIN_SOURCE}
        if service.affinity_s and affinity:
            self._options["affinity_timeout"] = str(service.affinity_s)
        if protocol == "UDP":
            # A client that never pauses keeps its connection alive, and with it the endpoint that has gone. TCP clients
            # notice by themselves, and may finish what an ending endpoint still serves. (From OVN 23.03 on.)
            self._options["ct_flush"] = "true"

    def row(
        self, suffix: str, parent: Parent, vips: Mapping[str, str], options: Mapping[str, str] | None = None
    ) -> Row:
        """One load balancer."""
        service = self._service
        return Row(
            table="Load_Balancer",
            name=f"{self._name}{suffix}",
            owner=service_owner(service.namespace, service.name),
            parent=parent,
            columns={
                "protocol": self._protocol.lower(),
                "vips": vips,
                "options": {**self._options, **(options or {})},
                "external_ids": {"namespace": service.namespace, "service": service.name},
            },
        )


class Backends:
    """Endpoints of slices, all of them or those on some nodes or of some networks, as strings for virtual addresses.

    The ready ones of a port. When there is none, those that end but serve still (KEP-1669), so that a rollout loses
    nothing. What publishNotReadyAddresses says is in the conditions already: the control plane calls such endpoints
    ready.
    """

    def __init__(
        self,
        slices: tuple[EndpointSlice, ...],
        nodes: frozenset[str] | None = None,
        networks: tuple[IPv4Network, ...] | None = None,
    ) -> None:
        self._slices, self._nodes, self._networks = slices, nodes, networks
        self._known: dict[tuple[str, str, str], str] = {}

    def vips(self, addresses: Iterable[str], ports: Iterable[ServicePort]) -> dict[str, str]:
        """Each port at each address."""
        ports = list(ports)
        return {_socket(address, port.port): self._of(port, address) for address in addresses for port in ports}

    def node_ports(self, addresses: Iterable[str], ports: Iterable[ServicePort]) -> dict[str, str]:
        """Each node port at each node's address."""
        ports = [port for port in ports if port.node_port]
        return {_socket(address, port.node_port): self._of(port, address) for address in addresses for port in ports}

    def seen_by(self, gateway: Gateway) -> Backends | None:
        """Those whose answers come back by a gateway: those of its own node if it has any, else all; None: nobody's."""
        if gateway.sources == ():
            return None
        reduced = Backends(self._slices, networks=gateway.sources)
        own = Backends(self._slices, frozenset({gateway.name}), gateway.sources)
        if any(own._usable()):
            return own
        return reduced if gateway.sources is None or any(reduced._usable()) else None

    def _usable(self) -> Iterator[Endpoint]:
        for part in self._slices:
            for endpoint in part.endpoints if part.address_type != "FQDN" else ():
                if self._counts(endpoint) and (endpoint.ready or (endpoint.serving and endpoint.terminating)):
                    yield endpoint

    def _counts(self, endpoint: Endpoint) -> bool:
        if self._nodes is not None and endpoint.node not in self._nodes:
            return False
        if self._networks is None:
            return True
        address = ip_address(endpoint.address)
        return isinstance(address, IPv4Address) and any(address in network for network in self._networks)

    def _of(self, port: ServicePort, address: str) -> str:
        family = "IPv6" if ":" in address else "IPv4"
        key = (port.name, port.protocol, family)
        if key not in self._known:
            self._known[key] = self._text(*key)
        return self._known[key]

    def _text(self, name: str, protocol: str, family: str) -> str:
        """Endpoints of a port, sorted: the same endpoints always give the same string."""
        ready: set[tuple[str, int]] = set()
        ending: set[tuple[str, int]] = set()
        for part in self._slices:
            if part.address_type != family:
                continue
            for target in part.ports:
                if target.name == name and target.protocol == protocol:
                    for endpoint in part.endpoints:
                        if not self._counts(endpoint):
                            continue
                        if endpoint.ready:
                            ready.add((endpoint.address, target.port))
                        elif endpoint.serving and endpoint.terminating:
                            ending.add((endpoint.address, target.port))
        return ",".join(_socket(address, number) for address, number in sorted(ready or ending))


def _socket(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
