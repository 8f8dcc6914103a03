# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""An inventory as the roles see it: which host has which part, and every host's settings with the defaults filled in.

Only inventory variables are used, never facts, so that the model is whole under ``--limit`` and before any host
answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..module_utils.core.addresses import first_service_address, parse_network

LINUX_GROUPS = ("masters", "linux_workers", "gateways")
GROUPS = ("masters", "linux_workers", "windows_workers", "gateways")

CLUSTER_WIDE: dict[str, Any] = {
    "ovn_k8s_cluster_name": "ovn-k8s",
    "ovn_k8s_cluster_cidr": "10.244.0.0/16",
    "ovn_k8s_node_prefix": 24,
    "ovn_k8s_service_cidr": "10.96.0.0/16",
    "ovn_k8s_join_cidr": "100.64.0.0/16",
    "ovn_k8s_encap_type": "geneve",
    "kubernetes_managed": True,
}
"""Variables that mean the same on every host, with the defaults of the role `cluster`."""

PER_HOST: dict[str, Any] = {
    "ovn_k8s_node_name": None,
    "ovn_k8s_node_ip": None,
    "ovn_k8s_node_subnet": "",
    "ovn_k8s_underlay_interface": "",
    "ovn_k8s_underlay_bridge": "br-phy",
    "ovn_k8s_underlay_prefix": 24,
    "ovn_k8s_mtu": 0,
    "ovn_k8s_datapath_type": "system",
    "ovn_k8s_gateway_interface": "",
    "ovn_k8s_gateway_address": "",
    "ovn_k8s_gateway_nexthop": "",
    "ovn_k8s_gateway_mac": "",
    "ovn_k8s_gateway_shared": False,
    "ovn_k8s_gateway_bridge": "",
    "master_watcher_kubeconfig": "",
    "windows_datapath": "hybrid_overlay",
    "windows_runtime": "containerd",
    "ansible_connection": "ssh",
    "ansible_shell_type": "sh",
    "ansible_become": False,
    "ansible_become_method": "sudo",
}
"""Variables of one host; None: made from the host's name or address."""


@dataclass(frozen=True)
class InventoryHost:
    """One host: its inventory name, those of the collection's groups that it is in, and its settings."""

    name: str
    groups: tuple[str, ...]
    settings: Mapping[str, Any]
    unresolved: Mapping[str, str]
    """Variables that could not be templated, with the reason."""

    @property
    def node_name(self) -> Any:
        return self.settings["ovn_k8s_node_name"]

    @property
    def node_ip(self) -> Any:
        return self.settings["ovn_k8s_node_ip"]


def read_hosts(
    groups: Mapping[str, Sequence[str]], variables: Callable[[str, str], tuple[bool, Any]]
) -> list[InventoryHost]:
    """All hosts of the collection's groups, in inventory order.

    ``variables(host, name)`` returns whether the inventory sets the variable and its value; it raises ValueError
    when the
    value cannot be templated.
    """
    names = list(dict.fromkeys(host for group in GROUPS for host in groups.get(group, ())))
    return [_read_host(name, tuple(g for g in GROUPS if name in groups.get(g, ())), variables) for name in names]


def _read_host(name: str, groups: tuple[str, ...], variables: Callable[[str, str], tuple[bool, Any]]) -> InventoryHost:
    settings: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    for variable, default in {**CLUSTER_WIDE, **PER_HOST}.items():
        settings[variable] = default
        try:
            known, value = variables(name, variable)
        except ValueError as error:
            unresolved[variable] = str(error)
            continue
        if known:
            settings[variable] = value
    if settings["ovn_k8s_node_name"] is None:
        settings["ovn_k8s_node_name"] = name.lower()
    if settings["ovn_k8s_node_ip"] is None:
        try:
            known, value = variables(name, "ansible_host")
            settings["ovn_k8s_node_ip"] = value if known else name
        except ValueError as error:
            unresolved["ansible_host"] = str(error)
    return InventoryHost(name, groups, settings, unresolved)


def model(
    hosts: Sequence[InventoryHost],
    play_hosts: Sequence[str],
    outside_of: Callable[[str, Sequence[str]], Mapping[str, str]],
) -> dict[str, Any]:
    """What the roles read from `cluster_inventory`. Call it with a valid inventory only.

    ``play_hosts`` are the hosts that this run works on; only they are in ``topology``, which is in the form that the
    module `ovn_k8s_topology` takes, but for the subnets that the inventory gives to any host. ``outside_of(host,
    interfaces)`` says ``mac``, and ``address`` and ``nexthop`` if it has any, of the first of these interfaces that has
    an address, once they are known.
    """
    described = {host.name: _described(host) for host in hosts}
    linux = [host for host in hosts if host.groups[0] in LINUX_GROUPS]
    masters = [host for host in hosts if host.groups[0] == "masters"]
    playing = [host for host in linux if host.name in play_hosts]
    return {
        "hosts": described,
        "masters": [host.name for host in masters],
        "linux": [host.name for host in linux],
        "windows": [host.name for host in hosts if host.groups[0] == "windows_workers"],
        "workers": [host.name for host in hosts if host.groups[0].endswith("_workers")],
        "gateways": [host.name for host in hosts if host.groups[0] == "gateways"],
        "first_master": masters[0].name,
        "first_service_address": str(first_service_address(parse_network(hosts[0].settings["ovn_k8s_service_cidr"]))),
        "master_addresses": [host.node_ip for host in masters],
        "northbound_remote": _remotes(masters, 6641) if len(masters) > 1 else "ssl:127.0.0.1:6641",
        "southbound_remote": _remotes(masters, 6642),
        "topology": {
            "master": masters[0].node_name,
            "reserved": {host.node_name: subnet for host in hosts if (subnet := host.settings["ovn_k8s_node_subnet"])},
            "nodes": [_node(host) for host in playing],
            "windows_nodes": [
                _node(host) | {"hybrid_overlay": host.settings["windows_datapath"] == "hybrid_overlay"}
                for host in hosts
                if host.groups[0] == "windows_workers" and host.name in play_hosts
            ],
            "gateways": [_gateway(host, outside_of) for host in playing if host.groups[0] == "gateways"],
        },
    }


def _remotes(masters: Sequence[InventoryHost], port: int) -> str:
    return ",".join(f"ssl:{host.node_ip}:{port}" for host in masters)


def _node(host: InventoryHost) -> dict[str, Any]:
    subnet = host.settings["ovn_k8s_node_subnet"]
    return {"name": host.node_name, "node_ip": host.node_ip} | ({"subnet": subnet} if subnet else {})


def _described(host: InventoryHost) -> dict[str, Any]:
    described = {"node_name": host.node_name, "node_ip": host.node_ip, "group": host.groups[0]}
    if host.groups[0] == "windows_workers":
        described["datapath"] = host.settings["windows_datapath"]
    return described


def gateway_bridge(settings: Mapping[str, Any]) -> str:
    """The bridge of an interface that the gateway shares with its pods; empty for one that it does not."""
    if not settings["ovn_k8s_gateway_shared"]:
        return ""
    return str(settings["ovn_k8s_gateway_bridge"] or f"br{settings['ovn_k8s_gateway_interface']}")


def _gateway(host: InventoryHost, outside_of: Callable[[str, Sequence[str]], Mapping[str, str]]) -> dict[str, Any]:
    settings = host.settings
    interface, bridge = settings["ovn_k8s_gateway_interface"], gateway_bridge(settings)
    # The bridge has the address of its interface, before and after it has been made.
    known = outside_of(host.name, (bridge, interface) if bridge else (interface,))
    address, nexthop = settings["ovn_k8s_gateway_address"], settings["ovn_k8s_gateway_nexthop"]
    return {
        "name": host.node_name,
        "chassis": host.node_name,
        "interface": bridge or interface,
        "address": address or known.get("address", ""),
        "nexthop": nexthop or known.get("nexthop", ""),
        "mac": settings["ovn_k8s_gateway_mac"] or known.get("mac", ""),
    }
