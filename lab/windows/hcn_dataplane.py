# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Packets for the emulated Host Network Service: what the model says, made of Linux networking.

The machine is a network namespace, each HCN namespace (a compartment) another one. An Overlay network is a bridge that
is its distributed router, with a VXLAN device; a RemoteSubnetRoute is a route through it, a neighbour and an entry of
the forwarding table; an endpoint is a pair of veth. On a Transparent network an endpoint is the internal interface that
Open vSwitch makes for its port, moved into the compartment when it appears. While Open vSwitch's extension is enabled
there, the adapter's addresses are those of the virtual adapter, which is the local port of Open vSwitch's bridge;
without that bridge the machine is cut off. This is how packets were read to flow, not how the virtual filtering
platform of Windows works.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .hcn_model import NON_PERSISTENT, OF_HOST, Document
from .openvswitch import virtual_adapter

LOG = logging.getLogger(__name__)

PROGRAMS = ("ip", "bridge", "nft", "ethtool", "nsenter", "sysctl")
VXLAN_PORT = 4789
VXLAN_OVERHEAD = 50
BALANCED = {6: "tcp", 17: "udp"}
SILENT = {"arp_ignore": "8", "rp_filter": "1"}
"""Settings of an adapter that Open vSwitch has: its userspace datapath gets copies, and the kernel acts on none."""


def missing() -> str:
    """Why there can be no packets here, or nothing."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs {', '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Remote:
    """A RemoteSubnetRoute."""

    prefix: str
    provider: str
    router_mac: str


@dataclass(frozen=True)
class Network:
    """A network that carries packets."""

    id: str
    type: str
    prefix: str
    gateway: str
    vni: int
    router_mac: str
    host_route: bool
    remotes: frozenset[Remote]
    own: frozenset[str] = frozenset()
    """Addresses of the machine itself on it."""
    taken: str = ""
    """The adapter, when Open vSwitch's extension is enabled on its virtual switch."""

    @property
    def bridge(self) -> str:
        return f"hns-{self.id[:8]}"

    @property
    def tunnel(self) -> str:
        return f"vx-{self.id[:8]}"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint that is in a compartment."""

    id: str
    name: str
    network: str
    compartment: int
    mac: str
    addresses: tuple[str, ...]
    gateway: str
    overhead: int
    nat_except: frozenset[str] | None

    @property
    def port(self) -> str:
        return f"ep-{self.id[:8]}"


def networks(state: Mapping[str, Document], ends: Mapping[str, Document]) -> Iterator[Network]:
    """The networks of a model's state that can carry packets: those that vanish at a reboot, and Transparent ones."""
    own: dict[str, set[str]] = {}
    for end in ends.values():
        if end.get(OF_HOST):
            found = own.setdefault(str(end["HostComputeNetwork"]).lower(), set())
            found |= {f"{one['IpAddress']}/{one['PrefixLength']}" for one in end.get("IpConfigurations") or []}
    for id_, document in state.items():
        type_ = document.get("Type")
        subnet: Document = next((s for ipam in document.get("Ipams") or [] for s in ipam.get("Subnets") or []), {})
        base = type_ == "Overlay" and not document.get("Flags", 0) & NON_PERSISTENT
        if type_ not in ("Overlay", "Transparent") or base:
            continue
        policies = _policies(document)
        vsid = next((p["Settings"]["IsolationId"] for p in subnet.get("Policies") or [] if p["Type"] == "VSID"), 0)
        remotes = (settings for type_, settings in policies if type_ == "RemoteSubnetRoute")
        yield Network(
            id_,
            str(document["Type"]),
            subnet.get("IpAddressPrefix", ""),
            next((route["NextHop"] for route in subnet.get("Routes") or []), ""),
            int(vsid),
            _mac(next((s.get("Address", "") for type_, s in policies if type_ == "DrMacAddress"), "")),
            any(type_ == "HostRoute" for type_, _ in policies),
            frozenset(
                Remote(r["DestinationPrefix"], r["ProviderAddress"], _mac(r["DistributedRouterMacAddress"]))
                for r in remotes
            ),
            frozenset(own.get(id_, ())),
            _taken(policies),
        )


def _taken(policies: list[tuple[str, Document]]) -> str:
    enabled = any(type_ == "VSwitchExtension" and settings.get("Enable") for type_, settings in policies)
    adapters = (settings.get("NetworkAdapterName", "") for type_, settings in policies if type_ == "NetAdapterName")
    return next(adapters, "") if enabled else ""


def endpoints(state: Mapping[str, Document], namespaces: Mapping[str, Document]) -> Iterator[Endpoint]:
    """The endpoints that are in a compartment."""
    for id_, document in state.items():
        namespace = namespaces.get(str(document.get("HostComputeNamespace", "")).lower())
        if namespace is None:
            continue
        policies = _policies(document)
        nat = next((s for type_, s in policies if type_ == "OutBoundNAT"), None)
        overhead = next((s.get("Overhead", 0) for type_, s in policies if type_ == "EncapOverhead"), VXLAN_OVERHEAD)
        configurations = document.get("IpConfigurations") or []
        yield Endpoint(
            id_,
            str(document.get("Name", "")),
            str(document["HostComputeNetwork"]).lower(),
            int(namespace["NamespaceId"]),
            _mac(document["MacAddress"]),
            tuple(f"{one['IpAddress']}/{one['PrefixLength']}" for one in configurations),
            next((route["NextHop"] for route in document.get("Routes") or []), ""),
            int(overhead),
            None if nat is None else frozenset(nat.get("Exceptions") or ()),
        )


def balancers(state: Mapping[str, Document], ends: Mapping[str, Document]) -> str:
    """The load balancers as rules of nft that stand where packets leave a compartment, as VFP does at its port."""
    rules = []
    for document in state.values():
        backends = [
            str(one["IpAddress"])
            for id_ in document.get("HostComputeEndpoints") or []
            for one in ends.get(str(id_).lower(), {}).get("IpConfigurations") or []
        ]
        if not backends:
            continue
        one_of = ", ".join(f"{number} : {address}" for number, address in enumerate(sorted(backends)))
        for vip in document.get("FrontendVIPs") or []:
            for port in document.get("PortMappings") or []:
                protocol = BALANCED.get(port.get("Protocol", 0))
                if protocol:
                    rules.append(
                        f"ip daddr {vip} {protocol} dport {port['ExternalPort']} "
                        f"dnat to numgen random mod {len(backends)} map {{ {one_of} }}:{port['InternalPort']}"
                    )
    return "\n".join(sorted(rules))


class Dataplane:
    """Follows a model. `root` is the machine's namespace, `address` its own on the wire, `mtu` that of the wire.

    `prefix` begins the names of the compartments' namespaces. `lock` guards the state while it is read.
    """

    def __init__(
        self, state: Callable[[], Any], root: str, address: str, *, prefix: str, mtu: int = 1500, lock: Any = None
    ) -> None:
        self._state = state
        self._root = root
        self._address = address
        self._prefix = prefix
        self._mtu = mtu
        self._lock = lock or threading.Lock()
        self._busy = threading.Lock()
        self._networks: dict[str, Network] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._waiting: set[str] = set()  # endpoints whose interface Open vSwitch has not made yet
        self._taken: dict[str, list[str]] = {}
        """Adapters that Open vSwitch has, and the addresses that they had."""
        self._no_bridge = False  # an adapter is Open vSwitch's, which has no bridge for it
        self._compartments: set[int] = set()
        self._balanced: dict[int, str] = {}
        """The rules of load balancers in each compartment."""
        self._nat: frozenset[tuple[str, frozenset[str]]] = frozenset()

    def compartment(self, number: int) -> str:
        """The name of a compartment's namespace."""
        return f"{self._prefix}{number}"

    def compartment_of(self, namespace_id: str) -> str:
        """The name of the namespace that an HCN namespace is."""
        with self._lock:
            return self.compartment(int(self._state().namespaces[namespace_id.strip("{}").lower()]["NamespaceId"]))

    def converge(self) -> None:
        """Make the packets' world as the model says now."""
        with self._busy:
            with self._lock:
                state = self._state()
                nets = {one.id: one for one in networks(state.networks, state.endpoints)}
                ends = {one.id: one for one in endpoints(state.endpoints, state.namespaces)}
                compartments = {int(one["NamespaceId"]) for one in state.namespaces.values()}
                balanced = balancers(state.load_balancers, state.endpoints)
            self._compartments_to(compartments)
            for id_ in [id_ for id_, one in self._endpoints.items() if ends.get(id_) != one]:
                self._remove_endpoint(self._endpoints.pop(id_))
            for id_ in [
                id_ for id_, one in self._networks.items() if _without_remotes(nets.get(id_)) != _without_remotes(one)
            ]:
                self._remove_network(self._networks.pop(id_))
            for one in nets.values():
                self._network(one)
            # A test may have an adapter that is none of its namespace.
            self._take_adapters({one.taken for one in nets.values() if one.taken and self._has(one.taken)})
            for end in ends.values():
                if end.network in nets and (end.id not in self._endpoints or end.id in self._waiting):
                    self._endpoint(end, nets[end.network])
            self._translate(
                frozenset(
                    (a.partition("/")[0], e.nat_except)
                    for e in ends.values()
                    if e.nat_except is not None
                    for a in e.addresses
                )
            )
            for number in compartments:
                self._balance(number, balanced)
            for number in self._compartments - compartments:
                self._balanced.pop(number, None)
                _run("ip", "netns", "delete", self.compartment(number))
            self._compartments &= compartments

    @property
    def waits(self) -> bool:
        """Whether an endpoint or an adapter waits for Open vSwitch."""
        return bool(self._waiting) or self._no_bridge

    def switch_started(self) -> None:
        """Open vSwitch has been started: all interfaces that it had made are gone, and come again."""
        with self._busy:
            transparent = {id_ for id_, one in self._networks.items() if one.type == "Transparent"}
            self._waiting |= {end.id for end in self._endpoints.values() if end.network in transparent}
            self._no_bridge = bool(self._taken)

    def clear(self) -> None:
        """Take everything away."""
        with self._busy:
            for end in self._endpoints.values():
                self._remove_endpoint(end)
            for one in self._networks.values():
                self._remove_network(one)
            self._translate(frozenset())
            for number in self._compartments:
                _run("ip", "netns", "delete", self.compartment(number))
            self._endpoints, self._networks, self._compartments, self._balanced = {}, {}, set(), {}

    # ---- compartments

    def _compartments_to(self, wanted: set[int]) -> None:
        for number in wanted - self._compartments:
            _run("ip", "netns", "add", self.compartment(number))
            _run("ip", "-n", self.compartment(number), "link", "set", "lo", "up")
            self._compartments.add(number)

    # ---- networks

    def _network(self, one: Network) -> None:
        if one.type != "Overlay":
            self._networks[one.id] = one
            return
        known = self._networks.get(one.id)
        if known is None:
            self._make_overlay(one)
        before = known.remotes if known else frozenset()
        for address in (known.own if known else frozenset()) - one.own:
            self._ip("address", "delete", address, "dev", one.bridge)
        for address in one.own - (known.own if known else frozenset()):
            self._ip("address", "add", address, "dev", one.bridge)
        for remote in before - one.remotes:
            self._ip("route", "delete", remote.prefix, "dev", one.bridge)
            self._ip("neighbour", "delete", remote.provider, "dev", one.bridge)
            self._in("bridge", "fdb", "delete", remote.router_mac, "dev", one.tunnel, "dst", remote.provider, "self")
            self._in("bridge", "fdb", "delete", remote.router_mac, "dev", one.tunnel, "master")
        for remote in one.remotes - before:
            self._in(
                "bridge",
                "fdb",
                "replace",
                remote.router_mac,
                "dev",
                one.tunnel,
                "dst",
                remote.provider,
                "self",
                "permanent",
            )
            self._in("bridge", "fdb", "replace", remote.router_mac, "dev", one.tunnel, "master", "static")
            self._ip("neighbour", "replace", remote.provider, "lladdr", remote.router_mac, "dev", one.bridge)
            self._ip("route", "replace", remote.prefix, "via", remote.provider, "dev", one.bridge, "onlink")
        self._networks[one.id] = one

    def _make_overlay(self, one: Network) -> None:
        length = one.prefix.partition("/")[2]
        self._ip("link", "add", one.bridge, "address", one.router_mac, "type", "bridge")
        self._ip(
            "link", "add", one.tunnel, "type", "vxlan", "id", str(one.vni), "local", self._address,
            "dstport", str(VXLAN_PORT), "nolearning",
        )  # fmt: skip
        mtu = str(self._mtu - VXLAN_OVERHEAD)
        self._ip("link", "set", one.tunnel, "master", one.bridge, "mtu", mtu, "up")
        self._ip("link", "set", one.bridge, "mtu", mtu, "up")
        # The checksum of what a userspace switch receives has to be there.
        for device in (one.tunnel, one.bridge):
            self._in("ethtool", "-K", device, "tx", "off")
        self._ip("address", "add", f"{one.gateway}/{length}", "dev", one.bridge)
        self._in("sysctl", "-qw", "net.ipv4.ip_forward=1")
        if not one.host_route:
            self._ip("rule", "add", "iif", "lo", "to", one.prefix, "unreachable")

    def _remove_network(self, one: Network) -> None:
        if one.type == "Overlay":
            self._ip("link", "delete", one.tunnel)
            self._ip("link", "delete", one.bridge)
            if not one.host_route:
                self._ip("rule", "delete", "iif", "lo", "to", one.prefix, "unreachable")

    # ---- adapters

    def _take_adapters(self, wanted: set[str]) -> None:
        for adapter in self._taken.keys() - wanted:
            addresses, virtual = self._taken.pop(adapter), virtual_adapter(adapter)
            if self._has(virtual):
                self._ip("address", "flush", "dev", virtual)
            for name in SILENT:
                self._in("sysctl", "-qw", f"net.ipv4.conf.{adapter}.{name}=0")
            for address in addresses:
                self._ip("address", "replace", address, "dev", adapter)
        self._no_bridge = False
        for adapter in wanted:
            if adapter not in self._taken:
                self._taken[adapter] = self._addresses(adapter)
                self._ip("address", "flush", "dev", adapter)
                for name, value in SILENT.items():
                    self._in("sysctl", "-qw", f"net.ipv4.conf.{adapter}.{name}={value}")
            virtual = virtual_adapter(adapter)
            if not self._has(virtual):
                self._no_bridge = True
            elif not self._addresses(virtual):
                for address in self._taken[adapter]:
                    self._ip("address", "replace", address, "dev", virtual)
                self._ip("link", "set", virtual, "up")

    def _addresses(self, device: str) -> list[str]:
        command = ["ip", "-json", "-4", "-n", self._root, "address", "show", "dev", device]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found = [one for device in json.loads(shown or "[]") for one in device.get("addr_info") or []]
        return [f"{one['local']}/{one['prefixlen']}" for one in found]

    # ---- endpoints

    def _endpoint(self, end: Endpoint, network: Network) -> None:
        inside = self.compartment(end.compartment)
        self._endpoints[end.id] = end
        if network.type == "Transparent":
            if not self._has(end.name):
                self._waiting.add(end.id)
                return
            self._waiting.discard(end.id)
            self._ip("link", "set", end.name, "netns", inside, "name", "eth0")
        else:
            self._ip("link", "add", end.port, "type", "veth", "peer", "name", "eth0", "netns", inside)
            self._ip("link", "set", end.port, "master", network.bridge, "up")
            _run("nsenter", f"--net=/run/netns/{inside}", "ethtool", "-K", "eth0", "tx", "off")
        mtu = str(self._mtu - end.overhead)
        _run("ip", "-n", inside, "link", "set", "eth0", "address", end.mac, "mtu", mtu, "up")
        for address in end.addresses:
            _run("ip", "-n", inside, "address", "add", address, "dev", "eth0")
        if end.gateway:
            _run("ip", "-n", inside, "route", "replace", "default", "via", end.gateway)

    def _remove_endpoint(self, end: Endpoint) -> None:
        self._waiting.discard(end.id)
        network = self._networks.get(end.network)
        if network is not None and network.type == "Overlay":
            self._ip("link", "delete", end.port)

    def _has(self, device: str) -> bool:
        command = ("nsenter", f"--net=/run/netns/{self._root}", "ip", "link", "show", device)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    # ---- services

    def _balance(self, number: int, rules: str) -> None:
        if self._balanced.get(number, "") == rules:
            return
        text = "table ip hns\ndelete table ip hns\n"
        text += "table ip hns { chain services { type nat hook output priority -100;\n" + rules + "\n}\n}\n"
        _run("nsenter", f"--net=/run/netns/{self.compartment(number)}", "nft", "-f", "-", text=text)
        self._balanced[number] = rules

    # ---- addresses of the machine in the place of pods'

    def _translate(self, wanted: frozenset[tuple[str, frozenset[str]]]) -> None:
        if wanted == self._nat:
            return
        rules = []
        for address, exceptions in sorted(wanted, key=str):
            inside = f"ip daddr != {{ {', '.join(sorted(exceptions))} }} " if exceptions else ""
            rules.append(f"ip saddr {address} {inside}snat to {self._address}")
        chain = "type nat hook postrouting priority srcnat;"
        text = "table ip hns\ndelete table ip hns\n"
        if rules:
            text += "table ip hns { chain out { " + chain + "\n" + "\n".join(rules) + "\n}\n}\n"
        _run("nsenter", f"--net=/run/netns/{self._root}", "nft", "-f", "-", text=text)
        self._nat = wanted

    def _ip(self, *arguments: str) -> None:
        _run("ip", "-n", self._root, *arguments)

    def _in(self, *command: str) -> None:
        _run("nsenter", f"--net=/run/netns/{self._root}", *command)


class Follower:
    """A thread that brings the packets' world up to date when it is told to, and while something is waited for."""

    def __init__(self, dataplane: Dataplane) -> None:
        self.dataplane = dataplane
        self._look = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="dataplane", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """Something has changed. For `Model.on_change`."""
        self._look.set()

    def switch_started(self) -> None:
        """Open vSwitch makes its interfaces anew."""
        self.dataplane.switch_started()
        self._look.set()

    def stop(self) -> None:
        self._stop = True
        self._look.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._stop:
            self._look.wait(1.0 if self.dataplane.waits else None)
            self._look.clear()
            try:
                self.dataplane.converge()
            except (subprocess.SubprocessError, OSError, ValueError):
                LOG.exception("packets do not follow the model")


def _policies(document: Document) -> list[tuple[str, Document]]:
    return [(str(policy.get("Type")), policy.get("Settings") or {}) for policy in document.get("Policies") or []]


def _without_remotes(one: Network | None) -> tuple[Any, ...] | None:
    return None if one is None else (one.id, one.type, one.prefix, one.gateway, one.vni, one.router_mac, one.host_route)


def _mac(text: str) -> str:
    return text.replace("-", ":").lower()


def _run(*command: str, text: str = "") -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        LOG.warning("%s: %s", " ".join(command), done.stderr.strip())
