# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What a machine must be before anything is changed on it, judged from Ansible's facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

SUPPORTED = {"Debian": ("12", "13")}
"""Distribution -> major versions that the collection is tested on."""
ARCHITECTURES = ("x86_64", "aarch64")
OLDEST_PYTHON = (3, 11)
"""The programs read TOML with the standard library."""
TUNNEL_OVERHEAD = 100
"""Bytes that geneve, UDP, IP and Ethernet take of the underlay's MTU, rounded up."""
SMALLEST_MTU = 576


@dataclass(frozen=True)
class Wishes:
    """What the inventory says about the machine."""

    node_ip: str
    datapath_type: str
    kernel_module: bool
    mtu: int
    underlay_interface: str
    gateway_interface: str
    gateway_bridge: str = ""
    """The bridge that takes the gateway's interface with all that it has; empty for one that is the pods' alone."""


def problems(facts: Mapping[str, Any], wishes: Wishes) -> list[str]:
    """Everything that stands in the way on this machine; empty when nothing does."""
    return [*_system(facts), *_datapath(wishes), *_interfaces(facts, wishes), *_mtu(facts, wishes)]


def pod_mtu(facts: Mapping[str, Any], wishes: Wishes) -> int:
    """The MTU of pods in bytes: as the inventory says, else what the underlay leaves."""
    return wishes.mtu or _underlay_mtu(facts, wishes) - TUNNEL_OVERHEAD


def interface_facts(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Facts of one interface; empty when the machine has none of this name."""
    if name not in facts.get("interfaces", ()):
        return {}
    found = facts.get(name.replace("-", "_").replace(".", "_").replace(":", "_"), {})
    return found if isinstance(found, Mapping) else {}


def outside_facts(facts: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """MAC, address with prefix length, and next hop of the first of these interfaces that has an address; the MAC alone
    when none has."""
    known = [(name, interface_facts(facts, name)) for name in names]
    for name, interface in known:
        first = interface.get("ipv4", {})
        first = first[0] if isinstance(first, list) and first else first
        if not first or "address" not in first:
            continue
        prefix = IPv4Network(f"0.0.0.0/{first.get('netmask') or first.get('prefix') or 32}").prefixlen
        found = {"mac": str(interface.get("macaddress", "")), "address": f"{first['address']}/{prefix}"}
        default = facts.get("default_ipv4", {})
        if default.get("interface") == name and default.get("gateway"):
            found["nexthop"] = str(default["gateway"])
        return found
    return {"mac": str(known[-1][1].get("macaddress", ""))}


def _system(facts: Mapping[str, Any]) -> Iterator[str]:
    distribution, major = facts.get("distribution", "unknown"), str(facts.get("distribution_major_version", ""))
    if major not in SUPPORTED.get(distribution, ()):
        supported = "; ".join(f"{name} {', '.join(versions)}" for name, versions in SUPPORTED.items())
        yield f"the operating system is {distribution} {major}, which is not supported; use {supported}"
    if facts.get("architecture") not in ARCHITECTURES:
        yield (
            f"the architecture is {facts.get('architecture')}, which is not supported; use {' or '.join(ARCHITECTURES)}"
        )
    if facts.get("service_mgr") != "systemd":
        yield f"the service manager is {facts.get('service_mgr')}; the roles need systemd"
    version = facts.get("python", {}).get("version", {})
    if (version.get("major", 0), version.get("minor", 0)) < OLDEST_PYTHON:
        yield (
            f"Python is {version.get('major')}.{version.get('minor')}; install "
            f"{'.'.join(map(str, OLDEST_PYTHON))} or newer"
        )


def _datapath(wishes: Wishes) -> Iterator[str]:
    if wishes.datapath_type == "system" and not wishes.kernel_module:
        yield (
            "ovn_k8s_datapath_type = 'system' and the kernel has no module openvswitch: install a kernel "
            "that has it, or set "
            "ovn_k8s_datapath_type to netdev together with ovn_k8s_underlay_interface"
        )


def _interfaces(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    names = sorted(facts.get("interfaces", ()))
    for variable, name in (
        ("ovn_k8s_underlay_interface", wishes.underlay_interface),
        ("ovn_k8s_gateway_interface", wishes.gateway_interface),
    ):
        if name and name not in names:
            yield f"{variable} = '{name}' does not exist on the machine; it has {', '.join(names)}"
    if wishes.node_ip not in facts.get("all_ipv4_addresses", ()):
        addresses = ", ".join(facts.get("all_ipv4_addresses", ())) or "none"
        yield (
            f"ovn_k8s_node_ip = '{wishes.node_ip}' is no address of the machine, which has {addresses}; "
            "set ovn_k8s_node_ip to "
            "the one in the network between the nodes"
        )
    gateway = interface_facts(facts, wishes.gateway_interface)
    if wishes.gateway_bridge:
        yield from _shared(facts, wishes)
    elif wishes.node_ip in _addresses(gateway):
        yield (
            f"ovn_k8s_gateway_interface = '{wishes.gateway_interface}' has the address {wishes.node_ip} "
            "(ovn_k8s_node_ip), which "
            "it would lose: the way out needs an interface of its own"
        )


def _shared(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    names = (wishes.gateway_bridge, wishes.gateway_interface)
    outside = outside_facts(facts, names)
    if "address" not in outside:
        yield (
            f"ovn_k8s_gateway_interface = '{wishes.gateway_interface}' has no IPv4 address to share with the pods; "
            "configure it, or see why no DHCP server answers"
        )
    elif "nexthop" not in outside:
        default = facts.get("default_ipv4", {}).get("interface")
        yield (
            f"ovn_k8s_gateway_interface = '{wishes.gateway_interface}' has no default route, so it is no way out; "
            + (f"that is {default}" if default else "the machine has none at all")
        )


def _mtu(facts: Mapping[str, Any], wishes: Wishes) -> Iterator[str]:
    underlay = _underlay_mtu(facts, wishes)
    if not underlay:
        return
    mtu = pod_mtu(facts, wishes)
    if mtu + TUNNEL_OVERHEAD > underlay:
        yield (
            f"ovn_k8s_mtu = {wishes.mtu} does not fit through the underlay, whose MTU is {underlay}, with "
            f"{TUNNEL_OVERHEAD} bytes "
            f"of encapsulation; use at most {underlay - TUNNEL_OVERHEAD}, or 0"
        )
    elif mtu < SMALLEST_MTU:
        yield (
            f"the underlay's MTU of {underlay} leaves {mtu} for pods; raise it to at least "
            f"{SMALLEST_MTU + TUNNEL_OVERHEAD}"
        )


def _underlay_mtu(facts: Mapping[str, Any], wishes: Wishes) -> int:
    if wishes.underlay_interface:
        return int(interface_facts(facts, wishes.underlay_interface).get("mtu", 0))
    for name in facts.get("interfaces", ()):
        found = interface_facts(facts, name)
        if wishes.node_ip in _addresses(found):
            return int(found.get("mtu", 0))
    return 0


def _addresses(interface: Mapping[str, Any]) -> list[str]:
    first = interface.get("ipv4", {})
    entries = [*(first if isinstance(first, list) else [first]), *interface.get("ipv4_secondaries", [])]
    return [entry["address"] for entry in entries if "address" in entry]
