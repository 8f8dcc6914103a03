# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Services as load balancers: of the group that all nodes' switches share, of single switches, of gateways' routers.

Column and option meanings: Load_Balancer in ovn-nb(5). Who meets which: docs/services.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, ip_address

from .database import Database
from .gateway_duties import shared_networks
from .node_services import HAS_ENDPOINT, HAS_NO_ENDPOINT, NODE_PORTS_OUTSIDE, NODE_PORTS_WITHIN
from .policies import digest
from .rows import Parent, Row
from .services import Claim, Endpoint, EndpointSlice, Service, ServicePort
from .topology import LOAD_BALANCER_GROUP, gateway_router, outside_switch

OWNER_PREFIX = "service/"
PROTOCOLS = ("TCP", "UDP", "SCTP")
AFFINITY_SCHEMA = (7, 0, 0)
"""Northbound schema of OVN 22.12, the first whose load balancers know `affinity_timeout`."""

HAIRPIN_SOURCE = "169.254.0.5"
"""Source that a pod sees when a service sends its own connection back to it: link-local, nobody's address."""

ALLOWED, DENIED = 1001, 1000
"""Priorities of the ACLs on a gateway's outer switch."""

TABLES = ("Logical_Switch", "Logical_Router", "Logical_Router_Port", "Logical_Router_Static_Route")
"""What `surroundings` reads, beside the load balancers' own tables."""


@dataclass(frozen=True)
class Gateway:
    """A gateway's router: its name, and the address that the world knows it by ('' when it has none).

    `sources`: the networks whose packets into the world leave by this router and no other; None: everybody's do.
    `elsewhere`: the part of its network whose addresses another gateway has.
    """

    name: str
    address: str
    sources: tuple[IPv4Network, ...] | None = None
    elsewhere: tuple[IPv4Network, ...] = ()

    def takes(self, address: str) -> bool:
        """Whether it has an address of a service: in its network it may be another's, routed to it any may be."""
        known = ip_address(address)
        return not any(known in network for network in self.elsewhere)

    @property
    def router(self) -> str:
        """The name of its router."""
        return gateway_router(self.name)


@dataclass(frozen=True)
class Surroundings:
    """What services have around them: nodes with a switch, the addresses of nodes by node, gateways; each sorted."""

    nodes: tuple[str, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    gateways: tuple[Gateway, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The nodes' addresses."""
        return tuple(sorted(set(self.hosts.values())))

    @property
    def node_port_addresses(self) -> tuple[str, ...]:
        """Where pods find node ports."""
        return tuple(sorted({*self.addresses, *(gateway.address for gateway in self.gateways if gateway.address)}))


def surroundings(database: Database) -> Surroundings:
    """Read the surroundings from the rows of nodes and gateways (topology.py)."""
    switches = (row.columns for row in database.rows("Logical_Switch"))
    nodes = {str(columns["name"]) for columns in switches if columns["other_config"].get("subnet")}
    hosts: dict[str, str] = {}
    sources: dict[str, list[IPv4Network]] = {}
    for row in database.rows("Logical_Router_Static_Route"):
        kind, _sign, name = row.owner.partition("/")
        if kind == "node" and row.columns["external_ids"].get("ovn-k8s-id") == f"{row.owner}/address":
            hosts[name] = str(row.columns["ip_prefix"]).partition("/")[0]
        elif kind == "gateway" and row.columns["policy"] == "src-ip":
            sources.setdefault(name, []).append(IPv4Network(row.columns["ip_prefix"]))
    found = {}
    for row in database.rows("Logical_Router"):
        kind, _sign, name = row.owner.partition("/")
        if kind == "gateway" and row.columns["name"] == gateway_router(name):
            found[name] = str(row.columns["external_ids"].get("physical_ip", ""))
    elsewhere = shared_networks(database)
    gateways = tuple(
        Gateway(
            name,
            found[name],
            tuple(sorted(sources.get(name, ()))) if len(found) > 1 else None,
            elsewhere.get(name, ()),
        )
        for name in sorted(found)
    )
    return Surroundings(tuple(sorted(nodes)), hosts, gateways)


def service_owner(namespace: str, name: str) -> str:
    """`ovn-k8s-owner` of a service's rows."""
    return f"{OWNER_PREFIX}{namespace}/{name}"


def load_balancer_name(namespace: str, name: str, protocol: str) -> str:
    """Name of a service's load balancer, in the group, for one protocol."""
    return f"service_{namespace}_{name}_{protocol.lower()}"


def knows_affinity(schema_version: str) -> bool:
    """Whether the load balancers of a northbound schema can keep a client at its endpoint."""
    try:
        return tuple(int(part) for part in schema_version.split(".")) >= AFFINITY_SCHEMA
    except ValueError:
        return False


def is_outside(service: Service) -> bool:
    """Whether a service is to be had at other addresses than those of the cluster."""
    ports = (service.health_port, *(port.node_port for port in service.ports))
    return bool(service.external_ips) or any(ports)


def service_rows(
    service: Service,
    slices: Iterable[EndpointSlice],
    around: Surroundings | None = None,
    *,
    affinity: bool = True,
    taken: Collection[Claim] = (),
) -> tuple[Row, ...]:
    """All rows of a service. `affinity`, `taken`: as of `service_load_balancers`."""
    around = around or Surroundings()
    slices = tuple(slices)
    balancers = service_load_balancers(service, slices, around, affinity=affinity, taken=taken)
    return (*balancers, *_health_checks(service, slices, around), *_guards(service, around, taken))


def service_load_balancers(
    service: Service,
    slices: Iterable[EndpointSlice],
    around: Surroundings | None = None,
    *,
    affinity: bool = True,
    taken: Collection[Claim] = (),
) -> tuple[Row, ...]:
    """Load balancers of a service: for each protocol that it uses, with a virtual address per port and address.

    A port without usable endpoints keeps its virtual address with no backends: with `reject` the client is refused at
    once and does not wait for a timeout.

    * In the group that all switches share: the cluster addresses, and for pods and nodes also node ports and external
      addresses, which lead to every endpoint from there. For the world, too, node ports by way of a node.
    * With internalTrafficPolicy Local each node has the cluster addresses on its own switch instead, with the endpoints
      of that node; with externalTrafficPolicy Local what the world finds at that node's address.
    * Each gateway's router has node ports at its own address, and the external addresses.

    `affinity`: whether this OVN can keep clients at endpoints. `taken`: external addresses and ports of other services.
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
        outside = [
            (ip, port) for ip in service.external_ips for port in ports if (ip, protocol, port.port) not in taken
        ]
        shared = {} if service.local else backends.vips(service.cluster_ips, ports)
        shared.update(backends.sockets(outside))
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
                kept = backends.seen_by(gateway, around.addresses) if service.external_local else None
                vips = (kept or backends).sockets((ip, port) for ip, port in outside if gateway.takes(ip))
                vips.update((kept or backends).node_ports((gateway.address,) if gateway.address else (), ports))
                rows += _gateway_rows(build, gateway, vips, seen=kept is not None)
    return tuple(rows)


def _gateway_rows(build: _Builder, gateway: Gateway, vips: Mapping[str, str], *, seen: bool) -> Iterator[Row]:
    """What a gateway's router answers to. `seen`: endpoints see who asks, or else the gateway asks in its own name.

    What has no endpoints is apart: OVN would refuse in the gateway's own name, too, and the client would not know what
    it is about.
    """
    unseen = {"skip_snat": "true"}
    parent = Parent("Logical_Router", gateway.router, "load_balancer")
    served = {vip: text for vip, text in vips.items() if text}
    if served:
        yield build.row(f"_gateway_{gateway.name}", parent, served, unseen if seen else {})
    if len(served) < len(vips):
        refused = dict.fromkeys(vips.keys() - served.keys(), "")
        yield build.row(f"_gateway_{gateway.name}_refused", parent, refused, unseen)


def _health_checks(service: Service, slices: tuple[EndpointSlice, ...], around: Surroundings) -> Iterator[Row]:
    """At each node's health check port the one or the other answer of its agent, whether it has a ready endpoint."""
    if not service.health_port:
        return
    having = {endpoint.node for part in slices for endpoint in part.endpoints if endpoint.ready}
    for node in around.nodes:
        if node in around.hosts:
            answer = _socket(around.hosts[node], HAS_ENDPOINT if node in having else HAS_NO_ENDPOINT)
            aliases = (NODE_PORTS_OUTSIDE, NODE_PORTS_WITHIN)
            vips = {_socket(str(alias), service.health_port): answer for alias in aliases}
            parent = Parent("Logical_Switch", node, "load_balancer")
            yield _Builder(service, "TCP", affinity=False).row(f"_health_{node}", parent, vips)


def _guards(service: Service, around: Surroundings, taken: Collection[Claim]) -> Iterator[Row]:
    """Who may not use the load balancer's addresses is stopped where he comes in, before any address is replaced.

    Nothing of this tracks connections, so what is no longer allowed ends at once.
    """
    ports: dict[tuple[str, str], list[int]] = {}
    for ip, protocol, port in sorted(service.claims.difference(taken)):
        if ip in service.guarded_ips and ":" not in ip:
            ports.setdefault((ip, protocol.lower()), []).append(port)
    if not ports:
        return
    there = " || ".join(
        f"(ip4.dst == {ip} && {protocol}.dst == {{{', '.join(map(str, numbers))}}})"
        for (ip, protocol), numbers in ports.items()
    )
    wanted = [(DENIED, "drop", f"({there})")]
    if service.sources:
        wanted.append((ALLOWED, "allow", f"ip4.src == {{{', '.join(service.sources)}}} && ({there})"))
    for gateway in around.gateways:
        for priority, action, match in wanted:
            yield Row(
                "ACL",
                f"sources:{action}:{digest('service', service.namespace, service.name, gateway.name)}",
                {"direction": "from-lport", "priority": priority, "match": match, "action": action},
                service_owner(service.namespace, service.name),
                Parent("Logical_Switch", outside_switch(gateway.name), "acls"),
            )


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
        return self.sockets((address, port) for port in ports for address in addresses)

    def sockets(self, pairs: Iterable[tuple[str, ServicePort]]) -> dict[str, str]:
        """Each pair of an address and a port."""
        return {_socket(address, port.port): self._of(port, address) for address, port in pairs}

    def node_ports(self, addresses: Iterable[str], ports: Iterable[ServicePort]) -> dict[str, str]:
        """Each node port at each node's address."""
        ports = [port for port in ports if port.node_port]
        return {_socket(address, port.node_port): self._of(port, address) for address in addresses for port in ports}

    def seen_by(self, gateway: Gateway, nodes: Collection[str]) -> Backends | None:
        """Those whose answers come back by a gateway: those of its own node if it has any, else all; None: nobody's.

        Nodes, whose addresses `nodes` are, answer the world by a way of their own.
        """
        if gateway.sources == () or any(endpoint.address in nodes for endpoint in self._usable()):
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
