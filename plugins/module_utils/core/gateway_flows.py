# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Flows of a gateway's shared bridge: one NIC, one address, and behind it the node itself and the cluster's pods.

The bridge has three ports: the *wire* (the NIC), the *node* (LOCAL, with the NIC's former MAC and IP addresses) and the
*pods* (a patch port to br-int, where the gateway router GR_<node> sits with the same MAC and IP address).

* Connection tracking, in one zone, says whose a packet from the wire is. Packets of the node and of the pods have their
  source replaced by an alias before they are tracked, so that the zone tells the two apart, and are translated back to
  the address that they share, so that the second of two connections with the same ports gets another source port. No
  alias ever reaches the wire. Nothing is translated to the address that it has: Open vSwitch before 3.3 ends itself in
  its userspace datapath when a port of such a connection is used again (assertion in conn_update_state()).
* A range of ports is the node ports', whatever services there are; and an address that is neither the node's own nor
  one that it routes to is a LoadBalancer's or an external IP. So the number of flows does not depend on the number of
  services, and nobody need ask Kubernetes.
* What nothing else claims is the node's, never NORMAL: two ports with one MAC address are not for a learning switch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from .addresses import mac_for
from .openflow import (
    ARP_REQUEST,
    CT_INV,
    CT_REL,
    CT_RPL,
    CT_TRK,
    ETH_ARP,
    ETH_IPV4,
    ICMP,
    LOCAL,
    MULTICAST,
    SCTP,
    TCP,
    UDP,
    Action,
    Conntrack,
    Flow,
    Goto,
    Masked,
    Match,
    Output,
    SetField,
    Untrack,
    port_masks,
    states,
)

COOKIE = 0x6F766E2D6B387367
"""The cookie of all our flows: "ovn-k8sg"."""
DEFAULT_ZONE = 64000
DEFAULT_NODE_PORTS = (30000, 32767)
"""--service-node-port-range of kube-apiserver."""
DEFAULT_TUNNEL_PORTS = (6081, 4789)
"""UDP ports of geneve and vxlan."""
DEFAULT_MASQUERADE = IPv4Network("169.254.169.0/29")
EXTERNAL_LIFETIME_S = 60
"""How long addresses that are not the node's go to the pods after the helper last said so: should it be dead when the
node gets a new address, the node is reachable there after this time at the latest."""

MARK_PODS, MARK_NODE, MARK_SERVICE = 1, 2, 3
"""ct_mark of a connection by who began it: a pod, the node, or somebody outside to a node port."""

CLASSIFY, FROM_WIRE, ICMP_ERROR, TO_WIRE, SERVICE_REPLY, FROM_PODS = 0, 1, 2, 3, 4, 5
TABLES = {
    CLASSIFY: "where from, where to",
    FROM_WIRE: "from the wire to an address of the node, tracked",
    ICMP_ERROR: "ICMP errors from the wire, tracked",
    TO_WIRE: "to the wire, translated",
    SERVICE_REPLY: "from pods with a node port as source, tracked",
    FROM_PODS: "from pods as clients",
}
_TRANSPORTS = {"tcp": TCP, "udp": UDP, "sctp": SCTP}
_ICMP_ERRORS = {3: "unreachable", 11: "time exceeded", 12: "parameter problem"}
_DHCP_SERVER, _DHCP_CLIENT = 67, 68
_ALL = 0xFFFF


@dataclass(frozen=True)
class SharedBridge:
    """Facts about a shared bridge.

    Attributes:
        wire, pods: OpenFlow port numbers of the NIC and of the patch port; pods is None while there is none.
        mac: of the bridge, the NIC and the gateway router's port.
        addresses: the node's on the bridge; pods leave with the first. None yet is fine: all is the node's then.
        logical_address: the one that the gateway router has in OVN, which may lag behind a new lease; None: the first.
        other_addresses: networks that are the node's through other interfaces (addresses of its own, routes).
        external: where addresses of LoadBalancers and externalIPs come from; None: any that is not the node's.
    """

    wire: int
    pods: int | None
    mac: str
    addresses: tuple[IPv4Address, ...] = ()
    logical_address: IPv4Address | None = None
    other_addresses: tuple[IPv4Network, ...] = ()
    external: tuple[IPv4Network, ...] | None = None
    zone: int = DEFAULT_ZONE
    node_ports: tuple[int, int] = DEFAULT_NODE_PORTS
    tunnel_ports: tuple[int, ...] = DEFAULT_TUNNEL_PORTS
    masquerade: IPv4Network = DEFAULT_MASQUERADE

    @property
    def logical(self) -> IPv4Address:
        """The address that the gateway router answers to."""
        return self.logical_address or self.addresses[0]

    @property
    def pods_alias(self) -> IPv4Address:
        """Stands for the pods in the connection table."""
        return self.masquerade.network_address + 1

    @property
    def node_alias(self) -> IPv4Address:
        """Stands for the node when it is a client of its own gateway router."""
        return self.masquerade.network_address + 2

    @property
    def node_alias_mac(self) -> str:
        """The MAC address of the node's alias: OVN takes no ARP request that comes from a MAC address of its own."""
        return mac_for(self.node_alias)

    @property
    def connection_alias(self) -> IPv4Address:
        """Stands for the node in the connection table."""
        return self.masquerade.network_address + 3

    @property
    def service_alias(self) -> IPv4Address:
        """Stands for the node's own node ports, when the node itself asks for them."""
        return self.masquerade.network_address + 4


def gateway_flows(bridge: SharedBridge) -> tuple[Flow, ...]:
    """All flows of the bridge, names and (table, priority, match) unique."""
    flows = list(_node_only(bridge))
    if bridge.addresses:
        flows += _node_tracked(bridge)
        if bridge.pods is not None:
            flows += _arp(bridge, bridge.pods)
            flows += _from_wire(bridge, bridge.pods)
            flows += _from_pods(bridge, bridge.pods)
            flows += _from_node(bridge, bridge.pods)
    return tuple(flows)


def _node_only(bridge: SharedBridge) -> Iterator[Flow]:
    """What keeps the node reachable whatever else there is."""
    wire, node = Match(in_port=bridge.wire), Match(in_port=LOCAL)
    to_node, to_wire = (Output(LOCAL),), (Output(bridge.wire),)
    yield Flow("wire-default", "what nobody else claims is the node's", CLASSIFY, 1, wire, to_node)
    yield Flow("node-default", "the node's own traffic", CLASSIFY, 1, node, to_wire)
    if bridge.pods is not None:
        why = "pods speak IPv4 and ARP only"
        yield Flow("pods-default", why, CLASSIFY, 1, Match(in_port=bridge.pods), ())
    why = "VLANs on the NIC are the node's"
    yield Flow("wire-vlan", why, CLASSIFY, 900, replace(wire, tagged=True), to_node)
    yield Flow("node-vlan", why, CLASSIFY, 900, replace(node, tagged=True), to_wire)
    why = "DHCP is the node's: an offer comes to an address that the node does not have yet"
    yield Flow("wire-dhcp", why, CLASSIFY, 800, replace(_udp(wire), l4_dst=_port(_DHCP_CLIENT)), to_node)
    yield Flow("node-dhcp", why, CLASSIFY, 800, replace(_udp(node), l4_src=_port(_DHCP_CLIENT)), to_wire)
    why = "tunnels between nodes end at the node"
    for port in bridge.tunnel_ports:
        ports = replace(_udp(wire), l4_dst=_port(port))
        yield Flow(f"wire-tunnel-{port}", why, CLASSIFY, 800, ports, to_node)
        ports = replace(_udp(node), l4_dst=_port(port))
        yield Flow(f"node-tunnel-{port}", why, CLASSIFY, 800, ports, to_wire)
    why = "the node's multicast and broadcast is nobody's connection"
    yield Flow("node-multicast", why, CLASSIFY, 700, replace(_ip(node), eth_dst=MULTICAST), to_wire)


def _node_tracked(bridge: SharedBridge) -> Iterator[Flow]:
    """The node's own connections. Pods share the first address only."""
    primary = bridge.addresses[0]
    own = Match(in_port=LOCAL, eth_type=ETH_IPV4, ip_src=_host(primary))
    to_wire = (Output(bridge.wire),)
    why = "the node's connections are remembered; a source port that a pod's connection has already is replaced"
    alias = SetField("ip_src", str(bridge.connection_alias))
    track = Conntrack(bridge.zone, table=TO_WIRE, commit=True, source=primary, mark=MARK_NODE)
    yield Flow(f"node-{primary}", why, CLASSIFY, 200, own, (alias, track))
    for number, name in _ICMP_ERRORS.items():
        error = replace(own, ip_proto=ICMP, icmp_type=number)
        yield Flow(f"node-icmp-{number}", f"ICMP {name} is no connection", CLASSIFY, 210, error, to_wire)
    why = "the node's connections are remembered"
    for address in bridge.addresses[1:]:
        track = Conntrack(bridge.zone, commit=True, mark=MARK_NODE)
        match = replace(own, ip_src=_host(address))
        yield Flow(f"node-{address}", why, CLASSIFY, 200, match, (track, *to_wire))
    why = "no connection that can be translated, such as the answer to one that somebody outside has begun"
    match = Match(eth_type=ETH_IPV4, ip_src=_host(bridge.connection_alias))
    restore = SetField("ip_src", str(primary))
    yield Flow("untranslated-of-node", why, TO_WIRE, 200, match, (restore, *to_wire))
    yield Flow("translated", "out", TO_WIRE, 1, Match(), to_wire)
    # Without pods nothing of this is taken apart again, so replies are read where packets from the wire are.
    track = Conntrack(bridge.zone, table=FROM_WIRE, restore=True)
    why = "the connection table knows whose it is"
    for address in bridge.addresses:
        match = Match(in_port=bridge.wire, eth_type=ETH_IPV4, eth_dst=bridge.mac, ip_dst=_host(address))
        yield Flow(f"wire-{address}", why, CLASSIFY, 200, match, (track,))
    reply = states(has=CT_TRK | CT_RPL, lacks=CT_INV)
    match = Match(ct_state=reply, eth_type=ETH_IPV4, ip_dst=_host(bridge.connection_alias))
    back = (SetField("ip_dst", str(primary)), Output(LOCAL))
    yield Flow("reply-to-node", "a reply to the node, translated back", FROM_WIRE, 300, match, back)
    match = Match(ct_state=states(has=CT_TRK | CT_RPL))
    why = "a reply to the node"
    yield Flow("reply-to-node-untranslated", why, FROM_WIRE, 200, match, (Output(LOCAL),))
    why = "nothing of the pods': the node's"
    yield Flow("tracked-default", why, FROM_WIRE, 1, Match(), (Output(LOCAL),))


def _arp(bridge: SharedBridge, pods: int) -> Iterator[Flow]:
    arp = Match(in_port=bridge.wire, eth_type=ETH_ARP)
    logical, primary = bridge.logical, bridge.addresses[0]
    differs = logical != primary
    copy: tuple[Action, ...] = (Output(LOCAL), Output(pods))
    yield Flow("wire-arp", "both may need to learn from ARP, or to answer", CLASSIFY, 600, arp, copy)
    if differs:
        match = replace(arp, arp_tpa=_host(primary))
        restore = SetField("arp_tpa", str(logical))
        why = "an answer to the gateway router, whose address in OVN lags behind"
        yield Flow("wire-arp-answer", why, CLASSIFY, 610, match, (Output(LOCAL), restore, Output(pods)))
    why = "the node answers for its addresses; the gateway router, which has one of them too, is not asked"
    for address in bridge.addresses:
        match = replace(arp, arp_op=ARP_REQUEST, arp_tpa=_host(address))
        yield Flow(f"wire-arp-{address}", why, CLASSIFY, 620, match, (Output(LOCAL),))
    arp = Match(in_port=LOCAL, eth_type=ETH_ARP)
    request = replace(arp, arp_op=ARP_REQUEST)
    alias = bridge.node_alias_mac
    as_alias = (SetField("eth_src", alias), SetField("arp_sha", alias), SetField("arp_spa", str(bridge.node_alias)))
    both = (Output(bridge.wire), *as_alias, Output(pods))
    why = "the node may ask for the address of a LoadBalancer, which the gateway router has"
    yield Flow("node-arp", why, CLASSIFY, 600, request, both)
    why = "a probe for, or an announcement of, an address of the node must not meet the gateway router"
    nobody = IPv4Network("0.0.0.0/32")
    yield Flow("node-arp-probe", why, CLASSIFY, 620, replace(request, arp_spa=nobody), (Output(bridge.wire),))
    for address in {logical: None, **dict.fromkeys(bridge.addresses)}:
        match = replace(request, arp_tpa=_host(address))
        yield Flow(f"node-arp-{address}", why, CLASSIFY, 610, match, (Output(bridge.wire),))
    arp = Match(in_port=pods, eth_type=ETH_ARP)
    to_wire: tuple[Action, ...] = (Output(bridge.wire),)
    yield Flow("pods-arp", "the gateway router asks for its next hop", CLASSIFY, 600, arp, to_wire)
    why = "the gateway router answers the node for a LoadBalancer's address"
    match = replace(arp, arp_tpa=_host(bridge.node_alias))
    as_node = (
        SetField("eth_dst", bridge.mac),
        SetField("arp_tha", bridge.mac),
        SetField("arp_tpa", str(primary)),
    )
    yield Flow("pods-arp-to-node", why, CLASSIFY, 620, match, (*as_node, Output(LOCAL)))
    if differs:
        match = replace(arp, arp_spa=_host(logical))
        why = "the gateway router's address in OVN lags behind: it asks with the address that the node has now"
        actions = (SetField("arp_spa", str(primary)), *to_wire)
        yield Flow("pods-arp-address", why, CLASSIFY, 610, match, actions)


def _from_wire(bridge: SharedBridge, pods: int) -> Iterator[Flow]:
    ours = Match(in_port=bridge.wire, eth_type=ETH_IPV4, eth_dst=bridge.mac)
    to_pods: tuple[Action, ...] = _rewritten(bridge, Output(pods))
    for address in bridge.addresses:
        match = replace(ours, ip_dst=_host(address))
        for number, name in _ICMP_ERRORS.items():
            error = replace(match, ip_proto=ICMP, icmp_type=number)
            why = f"ICMP {name}: whose is the packet that it is about? It stays as it is, so that OVN finds it too"
            look = (Conntrack(bridge.zone, table=ICMP_ERROR),)
            yield Flow(f"wire-{address}-icmp-{number}", why, CLASSIFY, 300, error, look)
    why = "the node routes there through another interface, or it is its own address"
    for network in bridge.other_addresses:
        match = Match(in_port=bridge.wire, eth_type=ETH_IPV4, ip_dst=network)
        yield Flow(f"wire-{network}", why, CLASSIFY, 190, match, (Output(LOCAL),))
    why = "not an address of the node: a LoadBalancer's or an external IP, which the gateway router knows"
    if bridge.external is None:
        yield Flow("wire-external", why, CLASSIFY, 100, ours, (Output(pods),), lifetime=EXTERNAL_LIFETIME_S)
    for network in bridge.external or ():
        match = replace(ours, ip_dst=network)
        yield Flow(f"wire-external-{network}", why, CLASSIFY, 180, match, (Output(pods),))

    reply = states(has=CT_TRK | CT_RPL, lacks=CT_INV)
    match = Match(ct_state=reply, eth_type=ETH_IPV4, ip_dst=_host(bridge.pods_alias))
    why = "a reply to a pod: translated back, it goes to the gateway router"
    back = (SetField("ip_dst", str(bridge.logical)), Output(pods))
    yield Flow("reply-to-pods", why, FROM_WIRE, 300, match, back)
    match = Match(ct_state=states(has=CT_TRK | CT_INV), ct_mark=MARK_PODS)
    why = "not valid in a pod's connection; the node, not knowing it, would reset the connection"
    yield Flow("invalid-to-pods", why, FROM_WIRE, 300, match, ())
    match = Match(eth_type=ETH_IPV4, ct_state=states(has=CT_TRK, lacks=CT_RPL), ct_mark=MARK_SERVICE)
    why = "more of a connection to a node port"
    yield Flow("service", why, FROM_WIRE, 150, match, to_pods)
    why = "a new connection to a node port, whatever service it is"
    # Not translated: the userspace datapath does not find a translated connection by a packet that OVN has translated.
    commit = Conntrack(bridge.zone, commit=True, mark=MARK_SERVICE)
    for name, match in _node_ports(bridge, "l4_dst"):
        here = replace(match, ip_dst=_host(bridge.addresses[0]))
        yield Flow(f"node-port-{name}", why, FROM_WIRE, 100, here, (commit, *to_pods))

    match = Match(eth_type=ETH_IPV4, ct_state=states(has=CT_TRK | CT_REL), ct_mark=MARK_PODS)
    yield Flow("icmp-error-to-pods", "about a packet of a pod", ICMP_ERROR, 100, match, to_pods)
    match = Match(eth_type=ETH_IPV4, ct_state=states(has=CT_TRK | CT_REL), ct_mark=MARK_SERVICE)
    yield Flow("icmp-error-to-service", "about an answer of a service", ICMP_ERROR, 100, match, to_pods)
    why = "about a packet of the node, or of nobody"
    yield Flow("icmp-error-default", why, ICMP_ERROR, 1, Match(), (Output(LOCAL),))


def _from_pods(bridge: SharedBridge, pods: int) -> Iterator[Flow]:
    ip = Match(in_port=pods, eth_type=ETH_IPV4)
    own = replace(ip, ip_src=_host(bridge.logical))
    to_wire = (Output(bridge.wire),)
    why = "the answer of a service to the node itself"
    to_node = (SetField("ip_dst", str(bridge.addresses[0])), SetField("eth_dst", bridge.mac), Output(LOCAL))
    match = replace(ip, ip_dst=_host(bridge.node_alias))
    yield Flow("service-to-node", why, CLASSIFY, 500, match, to_node)
    match = replace(match, ip_src=_host(bridge.logical))
    source = SetField("ip_src", str(bridge.service_alias))
    yield Flow("node-port-to-node", why, CLASSIFY, 510, match, (source, *to_node))
    for number, name in _ICMP_ERRORS.items():
        error = replace(own, ip_proto=ICMP, icmp_type=number)
        why = f"ICMP {name} of a pod or of the gateway router is no connection"
        rewrite = SetField("ip_src", str(bridge.addresses[0]))
        actions = (rewrite, *to_wire) if bridge.logical != bridge.addresses[0] else to_wire
        yield Flow(f"pods-icmp-{number}", why, CLASSIFY, 400, error, actions)
    why = "the answer of a node port, unless a pod has chosen such a port as its source"
    look: tuple[Action, ...] = (Conntrack(bridge.zone, table=SERVICE_REPLY),)
    if bridge.logical != bridge.addresses[0]:
        look = (SetField("ip_src", str(bridge.addresses[0])), *look)
    for name, ports in _node_ports(bridge, "l4_src"):
        match = replace(ports, in_port=pods, ip_src=_host(bridge.logical))
        yield Flow(f"pods-port-{name}", why, CLASSIFY, 300, match, look)
    why = "a pod's connection, already with the node's address"
    yield Flow("pods", why, CLASSIFY, 200, own, (Goto(FROM_PODS),))
    why = "from a LoadBalancer's or an external address: no connection of a pod, so nothing to keep apart"
    yield Flow("pods-external", why, CLASSIFY, 100, ip, to_wire)

    match = Match(eth_type=ETH_IPV4, ct_state=states(has=CT_TRK | CT_RPL, lacks=CT_INV))
    yield Flow("service-reply", "an answer of a service", SERVICE_REPLY, 100, match, to_wire)
    why = "a pod's connection that happens to use a node port as its source"
    yield Flow("service-reply-default", why, SERVICE_REPLY, 1, Match(), (Untrack(), Goto(FROM_PODS)))
    why = "remembered as the pods', leaving with the node's address and a source port that the node does not use"
    source_nat = Conntrack(bridge.zone, table=TO_WIRE, commit=True, source=bridge.addresses[0], mark=MARK_PODS)
    alias = SetField("ip_src", str(bridge.pods_alias))
    match = Match(eth_type=ETH_IPV4)
    yield Flow("pods-commit", why, FROM_PODS, 1, match, (alias, source_nat))
    match = Match(eth_type=ETH_IPV4, ip_src=bridge.masquerade)
    why = "could not be translated (no valid packet of a connection, or no port left): it must not leave so"
    yield Flow("untranslated", why, TO_WIRE, 100, match, ())


def _from_node(bridge: SharedBridge, pods: int) -> Iterator[Flow]:
    primary = bridge.addresses[0]
    own = Match(in_port=LOCAL, eth_type=ETH_IPV4, ip_src=_host(primary))
    alias = SetField("ip_src", str(bridge.node_alias))
    why = "the node asks for a node port of its own (its packet filter has put this address there)"
    match = replace(own, ip_dst=_host(bridge.service_alias))
    target = (SetField("ip_dst", str(bridge.logical)), SetField("eth_dst", bridge.mac))
    yield Flow("node-to-node-port", why, CLASSIFY, 500, match, (alias, *target, Output(pods)))
    why = "the gateway router has answered the node's ARP for this address: it is a LoadBalancer's"
    match = replace(own, eth_dst=bridge.mac)
    yield Flow("node-to-service", why, CLASSIFY, 400, match, (alias, Output(pods)))
    why = "the node asks for a LoadBalancer's or an external address"
    for network in bridge.external or ():
        match = replace(own, ip_dst=network)
        actions = (alias, SetField("eth_dst", bridge.mac), Output(pods))
        yield Flow(f"node-to-external-{network}", why, CLASSIFY, 300, match, actions)


def _rewritten(bridge: SharedBridge, output: Output) -> tuple[Action, ...]:
    """To the gateway router, under the address that it has in OVN."""
    if bridge.logical == bridge.addresses[0]:
        return (output,)
    return SetField("ip_dst", str(bridge.logical)), output


def _node_ports(bridge: SharedBridge, field: str) -> Iterator[tuple[str, Match]]:
    for name, number in _TRANSPORTS.items():
        for ports in port_masks(*bridge.node_ports):
            match = Match(eth_type=ETH_IPV4, ip_proto=number)
            match = replace(match, l4_src=ports) if field == "l4_src" else replace(match, l4_dst=ports)
            yield f"{name}-{ports.value}", match


def _host(address: IPv4Address) -> IPv4Network:
    return IPv4Network(address)


def _port(number: int) -> Masked:
    return Masked(number, _ALL)


def _ip(match: Match) -> Match:
    return replace(match, eth_type=ETH_IPV4)


def _udp(match: Match) -> Match:
    return replace(match, eth_type=ETH_IPV4, ip_proto=UDP)
