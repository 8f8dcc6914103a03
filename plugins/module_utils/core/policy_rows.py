# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""NetworkPolicies as northbound rows: a Port_Group of the selected pods with ACLs, and Address_Sets for peers.

A policy's group drops everything of the directions that the policy is about, and lets through what its rules say with
a higher priority. So a pod in several groups gets the union of their rules, and it is isolated as soon as it is in one.
ACLs and the match language: ovn-nb(5) and ovn-sb(5), table Logical_Flow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from .node_services import ALIASES
from .policies import NO_LOGGING, Block, Logging, NetworkPolicy, Peers, PolicyPort, Rule, digest
from .rows import Parent, Ref, Row
from .service_rows import HAIRPIN_SOURCE

OWNER_PREFIX = "policy/"
PEERS_PREFIX = "peers/"
NODES_OWNER = "nodeports/cluster/k8s"
NODES_GROUP = "k8s_nodes"
"""Port_Group of every node's own port. In an ACL it means the one on the pod's switch, that of the pod's own node."""

METER = "ovn_k8s_acl_logging"
"""Meter of what ACLs log: each ACL on its own (`fair`) at most LOG_RATE packets a second, on each node."""
LOG_RATE = 20

DROP_PRIORITY = 1000
ALLOW_PRIORITY = 1001
LONGEST_NAME = 63
_FAMILIES = {4: "ip4", 6: "ip6"}
_SIDES = {"in": ("to-lport", "outport", "src"), "out": ("from-lport", "inport", "dst")}

Resolve = Callable[[str, Rule, PolicyPort], Mapping[int, Iterable[str]]]
"""(`in` or `out`, rule, named port) -> the addresses of the pods that have the port, by its number."""


def policy_owner(namespace: str, name: str) -> str:
    """`ovn-k8s-owner` of a policy's rows."""
    return f"{OWNER_PREFIX}{namespace}/{name}"


def policy_group(namespace: str, name: str) -> str:
    """Name of a policy's port group. What Kubernetes allows in names OVN does not allow in names of groups."""
    return f"policy_{digest('policy', namespace, name)}"


def peers_owner(peers: Peers) -> str:
    """`ovn-k8s-owner` of the address set of peers. No namespace can be called `_`."""
    return f"{PEERS_PREFIX}{peers.namespace or '_'}/{peers.id}"


def peers_set(peers: Peers) -> str:
    """Name of the address set of peers."""
    return f"peers_{peers.id}"


def peers_row(peers: Peers, addresses: Iterable[str]) -> Row:
    """The address set of peers."""
    about = {"pods": str(peers.pods), **({} if peers.namespace else {"namespaces": str(peers.namespaces)})}
    return Row(
        "Address_Set",
        peers_set(peers),
        {"addresses": frozenset(addresses), "external_ids": {key: value for key, value in about.items() if value}},
        peers_owner(peers),
    )


def nodes_row(ports: Iterable[object]) -> Row:
    """The port group of the nodes' own ports."""
    return Row("Port_Group", NODES_GROUP, {"ports": frozenset(ports)}, NODES_OWNER)


def own_node_row(node: str, addresses: Iterable[str]) -> Row:
    """What lets every pod of a node reach that node, whatever policies say. Its switch is the place: only its pods ask.

    `addresses`: those of the node, not of the pods on it.
    """
    return _switch_acl(
        node,
        "out:node",
        direction="from-lport",
        match=f"ip4.dst == {_set(sorted(addresses))}",
        action="allow-related",
        options={"apply-after-lb": "true"},
    )


def returning_row(node: str, port: str, addresses: Iterable[str], services: IPv4Network) -> Row:
    """What lets a node ask itself through a service.

    Packets and answers pass the node's own port twice. A connection that is tracked there on its second way, too, is a
    second one with the same answers. `addresses`: those of the port; `services`: those of the cluster.
    """
    sources = [*sorted(addresses), str(services), str(ALIASES)]
    return _switch_acl(
        node,
        "in:back",
        direction="to-lport",
        match=f'outport == "{port}" && ip4.src == {_set(sources)}',
        action="allow-stateless",
        options={},
    )


def _switch_acl(node: str, what: str, **columns: object) -> Row:
    name = f"{node[:30]}:{what}:{digest(what.rpartition(':')[2], node)}"
    parent = Parent("Logical_Switch", node, "acls")
    return Row("ACL", name, {"priority": ALLOW_PRIORITY, "log": False, **columns}, NODES_OWNER, parent)


def meter_rows() -> tuple[Row, Row]:
    """The meter of logging."""
    limit = {"action": "drop", "rate": LOG_RATE, "burst_size": LOG_RATE}
    meter = {"unit": "pktps", "fair": True, "bands": [Ref("Meter_Band", METER)]}
    return Row("Meter_Band", METER, limit, NODES_OWNER), Row("Meter", METER, meter, NODES_OWNER)


def policy_rows(
    policy: NetworkPolicy, ports: Iterable[object], resolve: Resolve, logging: Logging = NO_LOGGING
) -> tuple[Row, ...]:
    """Rows of a policy. `ports`: references to (or UUIDs of) the ports of the pods that it selects."""
    group = policy_group(policy.namespace, policy.name)
    about = {"namespace": policy.namespace, "policy": policy.name}
    owner = policy_owner(policy.namespace, policy.name)
    rows = [Row("Port_Group", group, {"ports": frozenset(ports), "external_ids": about}, owner)]
    for side, rules in (("in", policy.ingress), ("out", policy.egress)):
        if rules is not None:
            rows += _Side(policy, side, resolve, logging).rows(rules)
    return tuple(rows)


class _Side:
    """The rows of one direction of a policy."""

    def __init__(self, policy: NetworkPolicy, side: str, resolve: Resolve, logging: Logging) -> None:
        self._policy = policy
        self._side = side
        self._resolve = resolve
        self._logging = logging
        self._group = policy_group(policy.namespace, policy.name)
        self._owner = policy_owner(policy.namespace, policy.name)
        self._direction, self._port, self._field = _SIDES[side]

    def rows(self, rules: tuple[Rule, ...]) -> Iterator[Row]:
        yield self._acl("deny", ["ip"], allow=False)
        if self._side == "in":
            # Kubernetes: nobody can shut out the node that a pod runs on, nor a pod itself.
            yield self._acl("node", [f"inport == @{NODES_GROUP}", "ip"])
            yield self._acl("self", [f"ip4.src == {HAIRPIN_SOURCE}"])
        for number, rule in enumerate(rules):
            yield from self._rule(number, rule)

    def _rule(self, number: int, rule: Rule) -> Iterator[Row]:
        others = _others(rule, self._field)
        if others is not None:
            if not rule.ports:
                yield self._acl(f"{number}", [others or "ip"])
            for protocol, match in _numbered(rule.ports):
                yield self._acl(f"{number}:{protocol}", [others, match])
        for (protocol, port), addresses in sorted(self._named(rule).items()):
            name = f"{self._group}_{self._side}_{number}_{protocol}_{port}"
            yield Row("Address_Set", name, {"addresses": frozenset(addresses)}, self._owner)
            # On the way out the set holds those of the peers that have the port; on the way in, those of the group.
            peers = others if self._side == "in" else ""
            if peers is not None:
                conditions = [peers, f"ip4.dst == ${name}", f"{protocol}.dst == {port}"]
                yield self._acl(f"{number}:{protocol}:{port}", conditions)

    def _named(self, rule: Rule) -> dict[tuple[str, int], set[str]]:
        found: dict[tuple[str, int], set[str]] = {}
        for port in rule.ports:
            if port.named:
                for number, addresses in self._resolve(self._side, rule, port).items():
                    found.setdefault((port.protocol.lower(), number), set()).update(addresses)
        return {key: addresses for key, addresses in found.items() if addresses}

    def _acl(self, what: str, conditions: Iterable[str], *, allow: bool = True) -> Row:
        end = f":{self._side}:{what}:{digest('policy', self._policy.namespace, self._policy.name)}"
        name = f"{self._policy.namespace}/{self._policy.name}"[: LONGEST_NAME - len(end)] + end
        severity = self._logging.allow if allow else self._logging.deny
        return Row(
            "ACL",
            name,
            {
                "direction": self._direction,
                "priority": ALLOW_PRIORITY if allow else DROP_PRIORITY,
                "match": " && ".join([f"{self._port} == @{self._group}", *(part for part in conditions if part)]),
                "action": "allow-related" if allow else "drop",
                "log": bool(severity),
                "severity": severity or None,
                "meter": METER if severity else None,
                # A service's address is replaced before: what counts is the pod that it leads to.
                "options": {"apply-after-lb": "true"} if self._side == "out" else {},
            },
            self._owner,
            Parent("Port_Group", self._group, "acls"),
        )


def _others(rule: Rule, field: str) -> str | None:
    """Who may be on the other side: '' is anyone, None nobody."""
    if rule.anyone:
        return ""
    members: dict[str, list[str]] = {"ip4": [f"${peers_set(peers)}" for peers in rule.peers], "ip6": []}
    for network in networks(rule.blocks):
        members[_FAMILIES[network.version]].append(str(network))
    terms = [f"{family}.{field} == {_set(values)}" for family, values in members.items() if values]
    if not terms:
        return None
    return terms[0] if len(terms) == 1 else f"({' || '.join(terms)})"


def networks(blocks: Iterable[Block]) -> list[IPv4Network | IPv6Network]:
    """What blocks cover after their exceptions, as the fewest networks, sorted; the first family first."""
    four: list[IPv4Network] = []
    six: list[IPv6Network] = []
    for block in blocks:
        for network in _without(ip_network(block.cidr), [ip_network(one) for one in block.excepts]):
            if isinstance(network, IPv4Network):
                four.append(network)
            else:
                six.append(network)
    return [*collapse_addresses(four), *collapse_addresses(six)]


def _without(
    network: IPv4Network | IPv6Network, excepts: Iterable[IPv4Network | IPv6Network]
) -> list[IPv4Network | IPv6Network]:
    rest = [network]
    for one in excepts:
        kept: list[IPv4Network | IPv6Network] = []
        for part in rest:
            if part.version != one.version or not part.overlaps(one):
                kept.append(part)
            elif one != part and one.subnet_of(part):  # type: ignore[arg-type]
                kept.extend(part.address_exclude(one))  # type: ignore[arg-type]
        rest = kept
    return rest


def _numbered(ports: Iterable[PolicyPort]) -> Iterator[tuple[str, str]]:
    """Protocol and condition, one for each protocol of the ports that are given by number or not at all."""
    for protocol in ("TCP", "UDP", "SCTP"):
        of_protocol = [port for port in ports if port.protocol == protocol and not port.named]
        if not of_protocol:
            continue
        name = protocol.lower()
        if any(port.port is None for port in of_protocol):
            yield name, name
            continue
        single = sorted({int(port.port or 0) for port in of_protocol if port.end in (None, port.port)})
        ranges = sorted({(int(port.port or 0), port.end) for port in of_protocol if port.end not in (None, port.port)})
        terms = [f"{name}.dst == {_set([str(port) for port in single])}"] if single else []
        terms += [f"{low} <= {name}.dst <= {high}" for low, high in ranges]
        yield name, terms[0] if len(terms) == 1 else "(" + " || ".join(terms) + ")"


def _set(values: list[str]) -> str:
    return values[0] if len(values) == 1 else "{" + ", ".join(values) + "}"
