# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What an inventory must be before anything is changed. Each problem names variable, value, reason and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from ..module_utils.core import addresses
from ..module_utils.core.addresses import AddressError
from .inventory_model import CLUSTER_WIDE, InventoryHost, gateway_bridge

LONGEST_NODE_NAME = 52
"""A certificate's common name has room for 64 characters, and the kubelet's is `system:node:<node>`."""
LONGEST_INTERFACE = 15
"""IFNAMSIZ - 1, linux/if.h."""
WIDEST_SERVICE_PREFIX = 12
"""kube-apiserver takes at most 20 bits for service addresses."""
OWN_BRIDGES = ("br-int", "br-ext")
"""OVN's, and that towards Windows nodes without it."""
ENCAPSULATIONS = ("geneve", "vxlan")
DATAPATHS = ("system", "netdev")
WINDOWS_DATAPATHS = ("hybrid_overlay", "ovs")
WINDOWS_RUNTIMES = ("containerd", "docker")
WINDOWS_CONNECTIONS = ("winrm", "psrp", "ssh")
WINDOWS_SHELLS = ("powershell", "cmd")

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAME = re.compile(_LABEL)
_INTERFACE = re.compile(r"[^\s/:%]+")
_MAC = re.compile(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")


def problems(hosts: Sequence[InventoryHost], is_file: Callable[[str], bool]) -> list[str]:
    """Everything that is wrong with the inventory, as sentences; empty when a cluster can be made of it.

    ``is_file`` says whether a path on the control machine is a file.
    """
    found = [*_groups(hosts), *_unresolved(hosts)]
    if not hosts:
        return found
    found += _agreement(hosts)
    settings = hosts[0].settings
    found += _cluster_types(settings)
    networks, wrong = _networks(settings)
    found += wrong
    found += _sizes(settings, networks, hosts)
    found += _names(hosts)
    found += _node_ips(hosts, networks)
    found += _node_subnets(hosts, networks.get("ovn_k8s_cluster_cidr"))
    for host in hosts:
        if host.groups[0] != "windows_workers":
            found += _machine(host)
        else:
            found += _windows(host)
        if host.groups[0] == "gateways":
            found += _gateway(host, networks)
        if host.groups[0] == "masters":
            found += _watcher(host, is_file)
    found += _unique(hosts, "ovn_k8s_gateway_address", _gateway_ip, "each gateway needs an external address of its own")
    return list(dict.fromkeys(found))


def _groups(hosts: Sequence[InventoryHost]) -> Iterator[str]:
    masters = [host.name for host in hosts if "masters" in host.groups]
    if not masters:
        yield (
            "group masters is empty: the databases of OVN and the Kubernetes control plane have no place; "
            "put one host into the group masters"
        )
    if len(masters) % 2 == 0 and masters:
        yield (
            f"group masters has {len(masters)} hosts ({', '.join(masters)}): the databases need more than half of "
            "them, so an even number stands the loss of no more hosts than one less would; put one, three or five in it"
        )
    for host in hosts:
        if len(host.groups) > 1:
            yield (
                f"host {host.name} is in the groups {' and '.join(host.groups)}: a machine has one part in "
                "the cluster; "
                "leave it in one of them"
            )


def _unresolved(hosts: Sequence[InventoryHost]) -> Iterator[str]:
    for host in hosts:
        for variable, reason in host.unresolved.items():
            yield (
                f"{variable} of host {host.name} cannot be worked out: {reason}; use inventory variables only "
                "(facts of a host are not known yet, and not at all under --limit)"
            )


def _agreement(hosts: Sequence[InventoryHost]) -> Iterator[str]:
    for variable in CLUSTER_WIDE:
        values: dict[str, list[str]] = {}
        for host in hosts:
            values.setdefault(repr(host.settings[variable]), []).append(host.name)
        if len(values) > 1:
            listed = "; ".join(f"{value} on {', '.join(names)}" for value, names in values.items())
            yield (
                f"{variable} differs between hosts ({listed}): it belongs to the cluster; set it once, in "
                "group_vars/all"
            )


def _cluster_types(settings: Mapping[str, Any]) -> Iterator[str]:
    name = settings["ovn_k8s_cluster_name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 63:
        yield _say("ovn_k8s_cluster_name", name, "no RFC 1123 label", "use lower-case letters, digits and '-'")
    managed = settings["kubernetes_managed"]
    if not isinstance(managed, bool):
        yield _say(
            "kubernetes_managed",
            managed,
            "no boolean",
            "on the command line write it as -e '{\"kubernetes_managed\": false}'",
        )
    encapsulation = settings["ovn_k8s_encap_type"]
    if encapsulation not in ENCAPSULATIONS:
        yield _say("ovn_k8s_encap_type", encapsulation, "not known", f"use one of {', '.join(ENCAPSULATIONS)}")


def _networks(settings: Mapping[str, Any]) -> tuple[dict[str, IPv4Network], list[str]]:
    networks: dict[str, IPv4Network] = {}
    wrong: list[str] = []
    for variable in ("ovn_k8s_cluster_cidr", "ovn_k8s_service_cidr", "ovn_k8s_join_cidr"):
        if ":" in str(settings[variable]):
            wrong.append(f"{variable} = {settings[variable]!r}: {addresses.NO_IPV6}; give one IPv4 network")
            continue
        try:
            networks[variable] = addresses.parse_network(settings[variable])
        except AddressError as error:
            wrong.append(f"{variable} = {settings[variable]!r}: {error}; correct it")
    for first, second in addresses.overlaps(networks):
        wrong.append(
            f"{first} = '{networks[first]}' overlaps {second} = '{networks[second]}': pods, services and "
            "the join network "
            "need addresses of their own; choose networks that share none"
        )
    return networks, wrong


def _sizes(
    settings: Mapping[str, Any], networks: Mapping[str, IPv4Network], hosts: Sequence[InventoryHost]
) -> Iterator[str]:
    cluster = networks.get("ovn_k8s_cluster_cidr")
    prefix = settings["ovn_k8s_node_prefix"]
    if not _is_integer(prefix) or not 8 <= prefix <= addresses.LONGEST_NODE_PREFIX:
        yield _say(
            "ovn_k8s_node_prefix",
            prefix,
            f"no whole number from 8 to {addresses.LONGEST_NODE_PREFIX} (a smaller subnet has no room for pods)",
            "24 gives 252 pods a node",
        )
    elif cluster is not None:
        nodes = [host for host in hosts if not host.settings["ovn_k8s_node_subnet"]]
        room = addresses.subnet_count(cluster, prefix)
        if room < len(hosts):
            yield (
                f"ovn_k8s_cluster_cidr = '{cluster}' is too small: it has {room} node subnets of /{prefix} "
                f"(ovn_k8s_node_prefix) and the inventory has {len(hosts)} nodes, {len(nodes)} of them "
                "without a fixed subnet; "
                "use a larger network or a longer node prefix"
            )
    service = networks.get("ovn_k8s_service_cidr")
    if service is not None and not WIDEST_SERVICE_PREFIX <= service.prefixlen <= addresses.LONGEST_SERVICE_PREFIX:
        size = "too small" if service.prefixlen > addresses.LONGEST_SERVICE_PREFIX else "too large"
        yield _say(
            "ovn_k8s_service_cidr",
            str(service),
            f"{size} for services",
            f"use a prefix from /{WIDEST_SERVICE_PREFIX} to /{addresses.LONGEST_SERVICE_PREFIX}",
        )
    join = networks.get("ovn_k8s_join_cidr")
    gateways = sum("gateways" in host.groups for host in hosts)
    if join is not None and (join.prefixlen > addresses.LONGEST_JOIN_PREFIX or join.num_addresses - 3 < gateways):
        yield _say(
            "ovn_k8s_join_cidr",
            str(join),
            f"too small for the cluster router and {gateways} gateway routers",
            f"use a prefix of /{addresses.LONGEST_JOIN_PREFIX} or shorter",
        )


def _names(hosts: Sequence[InventoryHost]) -> Iterator[str]:
    for host in hosts:
        name = host.node_name
        if not isinstance(name, str) or not _SUBDOMAIN.fullmatch(name):
            yield _say(
                f"ovn_k8s_node_name of host {host.name}",
                name,
                "no RFC 1123 name (lower-case letters, digits, '-' and '.', beginning and ending with a "
                "letter or digit)",
                "rename the host in the inventory or set ovn_k8s_node_name for it",
            )
        elif len(name) > LONGEST_NODE_NAME:
            yield _say(
                f"ovn_k8s_node_name of host {host.name}",
                name,
                f"longer than {LONGEST_NODE_NAME} characters, which is what a certificate's common name has room for",
                "set a shorter ovn_k8s_node_name for it",
            )
    yield from _unique(hosts, "ovn_k8s_node_name", lambda host: host.node_name, "a node's name is its identity")


def _node_ips(hosts: Sequence[InventoryHost], networks: Mapping[str, IPv4Network]) -> list[str]:
    known: dict[str, IPv4Address] = {}
    wrong: list[str] = []
    for host in hosts:
        try:
            known[host.name] = addresses.parse_address(host.node_ip)
        except AddressError as error:
            wrong.append(
                f"ovn_k8s_node_ip of host {host.name} = {host.node_ip!r} (ansible_host where it is not set): {error}; "
                "set ovn_k8s_node_ip to the host's address in the network between the nodes"
            )
            continue
        for variable, network in networks.items():
            if known[host.name] in network:
                wrong.append(
                    f"ovn_k8s_node_ip of host {host.name} = '{host.node_ip}' lies in {variable} = "
                    f"'{network}': packets for the "
                    f"machine would go to pods or services; choose another {variable}"
                )
    wrong += _unique(
        hosts, "ovn_k8s_node_ip", lambda host: known.get(host.name), "it is the tunnel's end (encapsulation address)"
    )
    return wrong


def _node_subnets(hosts: Sequence[InventoryHost], cluster: IPv4Network | None) -> Iterator[str]:
    fixed: dict[str, IPv4Network] = {}
    for host in hosts:
        value = host.settings["ovn_k8s_node_subnet"]
        if value == "":
            continue
        try:
            subnet = addresses.parse_network(value)
        except AddressError as error:
            yield f"ovn_k8s_node_subnet of host {host.name} = {value!r}: {error}; correct it or leave it empty"
            continue
        if cluster is not None and not subnet.subnet_of(cluster):
            yield _say(
                f"ovn_k8s_node_subnet of host {host.name}",
                value,
                f"outside ovn_k8s_cluster_cidr = '{cluster}'",
                "take a part of it, or leave it empty",
            )
        elif subnet.prefixlen > addresses.LONGEST_NODE_PREFIX:
            yield _say(
                f"ovn_k8s_node_subnet of host {host.name}",
                value,
                "too small for router, node and pods",
                f"use /{addresses.LONGEST_NODE_PREFIX} or shorter",
            )
        fixed[host.name] = subnet
    for first, second in addresses.overlaps(fixed):
        yield (
            f"ovn_k8s_node_subnet of host {first} = '{fixed[first]}' overlaps that of host {second} = "
            f"'{fixed[second]}': "
            "each node needs addresses of its own; change one or leave both empty"
        )


def _windows(host: InventoryHost) -> Iterator[str]:
    settings = host.settings
    for variable, known in (("windows_datapath", WINDOWS_DATAPATHS), ("windows_runtime", WINDOWS_RUNTIMES)):
        if settings[variable] not in known:
            label = f"{variable} of host {host.name}"
            yield _say(label, settings[variable], "not known", f"use one of {', '.join(known)}")
    yield from _mtu(host)
    connection = str(settings["ansible_connection"]).rpartition(".")[2]
    if connection not in WINDOWS_CONNECTIONS:
        label, choices = f"ansible_connection of host {host.name}", ", ".join(WINDOWS_CONNECTIONS)
        yield _say(label, connection, "no way to a Windows machine", f"use one of {choices}")
    elif connection == "ssh" and settings["ansible_shell_type"] not in WINDOWS_SHELLS:
        yield _say(
            f"ansible_shell_type of host {host.name}",
            settings["ansible_shell_type"],
            "not what a Windows machine has at the other end of ssh",
            "set it to powershell, or set ansible_connection to winrm (see inventories/example)",
        )
    if settings["ansible_become"] and str(settings["ansible_become_method"]).rpartition(".")[2] != "runas":
        yield _say(
            f"ansible_become of host {host.name}",
            settings["ansible_become"],
            "meant for Linux: there is no sudo on Windows",
            "set it for the Linux groups alone, and let ansible_user be an administrator here",
        )


def _mtu(host: InventoryHost) -> Iterator[str]:
    mtu = host.settings["ovn_k8s_mtu"]
    if not _is_integer(mtu) or not (mtu == 0 or 576 <= mtu <= 65_435):
        yield _say(
            f"ovn_k8s_mtu of host {host.name}",
            mtu,
            "neither 0 nor a whole number from 576 to 65435",
            "0 takes the underlay's MTU less 100",
        )


def _machine(host: InventoryHost) -> Iterator[str]:
    settings = host.settings
    datapath = settings["ovn_k8s_datapath_type"]
    if datapath not in DATAPATHS:
        yield _say(
            f"ovn_k8s_datapath_type of host {host.name}", datapath, "not known", f"use one of {', '.join(DATAPATHS)}"
        )
    yield from _mtu(host)
    underlay = settings["ovn_k8s_underlay_interface"]
    if underlay != "":
        for variable in ("ovn_k8s_underlay_interface", "ovn_k8s_underlay_bridge"):
            yield from _interface(host, variable)
        if settings["ovn_k8s_underlay_bridge"] in (underlay, *OWN_BRIDGES):
            yield _say(
                f"ovn_k8s_underlay_bridge of host {host.name}",
                settings["ovn_k8s_underlay_bridge"],
                "also the underlay interface, or OVN's own bridge",
                "name it br-phy",
            )
        prefix = settings["ovn_k8s_underlay_prefix"]
        if not _is_integer(prefix) or not 1 <= prefix <= 30:
            yield _say(
                f"ovn_k8s_underlay_prefix of host {host.name}",
                prefix,
                "no whole number from 1 to 30",
                "it is the prefix length of ovn_k8s_node_ip, often 24",
            )
    elif datapath == "netdev":
        yield (
            f"ovn_k8s_datapath_type of host {host.name} = 'netdev' needs ovn_k8s_underlay_interface, which "
            "is '': the userspace "
            "datapath can send tunnel packets only through a bridge that owns the interface; name the "
            "interface, or use system"
        )


def _watcher(host: InventoryHost, is_file: Callable[[str], bool]) -> Iterator[str]:
    path = host.settings["master_watcher_kubeconfig"]
    if host.settings["kubernetes_managed"] is False and not (isinstance(path, str) and path and is_file(path)):
        yield (
            f"master_watcher_kubeconfig of host {host.name} = {path!r} is no file on the control machine, and "
            "kubernetes_managed is false; name a kubeconfig with which the watcher can read pods, services and "
            "endpoint slices (see role master)"
        )


def _gateway(host: InventoryHost, networks: Mapping[str, IPv4Network]) -> Iterator[str]:
    settings = host.settings
    shared = settings["ovn_k8s_gateway_shared"]
    if not isinstance(shared, bool):
        yield _say(f"ovn_k8s_gateway_shared of host {host.name}", shared, "no truth value", "write true or false")
        return
    missing = False
    for name, meaning in (
        ("interface", "the physical interface towards the outside, used for nothing else"),
        ("address", "its address with prefix length, such as 192.0.2.2/24"),
        ("nexthop", "the router behind it, such as 192.0.2.1"),
    ):
        if settings[f"ovn_k8s_gateway_{name}"] in ("", None):
            if shared and name != "interface":  # they are what the interface has
                continue
            missing = True
            yield (
                f"ovn_k8s_gateway_{name} of host {host.name} is not set, and the host is in the group "
                f"gateways: set it to {meaning}"
            )
    mac = settings["ovn_k8s_gateway_mac"]
    if mac != "" and not (isinstance(mac, str) and _MAC.fullmatch(mac)):
        yield _say(
            f"ovn_k8s_gateway_mac of host {host.name}",
            mac,
            "no MAC address",
            "leave it empty or write 02:00:00:00:00:01",
        )
    if missing:
        return
    yield from _interface(host, "ovn_k8s_gateway_interface")
    if settings["ovn_k8s_gateway_interface"] == settings["ovn_k8s_underlay_interface"]:
        yield _say(
            f"ovn_k8s_gateway_interface of host {host.name}",
            settings["ovn_k8s_gateway_interface"],
            "also its ovn_k8s_underlay_interface",
            "the way out needs an interface of its own",
        )
    if shared:
        yield from _shared_interface(host)
        return
    try:
        interface = addresses.parse_interface(settings["ovn_k8s_gateway_address"])
    except AddressError as error:
        yield (
            f"ovn_k8s_gateway_address of host {host.name} = {settings['ovn_k8s_gateway_address']!r}: {error}; "
            "correct it"
        )
        return
    yield from _gateway_addresses(host, interface, networks)


def _shared_interface(host: InventoryHost) -> Iterator[str]:
    settings = host.settings
    bridge = gateway_bridge(settings)
    if len(bridge) > LONGEST_INTERFACE:
        yield _say(
            f"ovn_k8s_gateway_bridge of host {host.name}",
            bridge,
            f"longer than the {LONGEST_INTERFACE} characters that an interface's name can have",
            "name a shorter one",
        )
    underlay = [settings[f"ovn_k8s_underlay_{name}"] for name in ("interface", "bridge")]
    underlay = underlay if underlay[0] else []
    if bridge in (settings["ovn_k8s_gateway_interface"], *underlay, *OWN_BRIDGES):
        yield _say(
            f"ovn_k8s_gateway_bridge of host {host.name}",
            bridge,
            "the name of another bridge or interface",
            "leave it empty, which means br and the interface's name",
        )
    for name in ("address", "nexthop"):
        if settings[f"ovn_k8s_gateway_{name}"]:
            yield _say(
                f"ovn_k8s_gateway_{name} of host {host.name}",
                settings[f"ovn_k8s_gateway_{name}"],
                "given, and ovn_k8s_gateway_shared is true",
                "leave it out: it is what the interface has",
            )


def _gateway_addresses(
    host: InventoryHost, interface: IPv4Interface, networks: Mapping[str, IPv4Network]
) -> Iterator[str]:
    network = interface.network
    label = f"ovn_k8s_gateway_address of host {host.name}"
    if network.prefixlen < 31 and interface.ip in (network.network_address, network.broadcast_address):
        yield _say(label, str(interface), "the network's own or its broadcast address", "use a host address")
    for variable, other in networks.items():
        if network.overlaps(other):
            yield (
                f"{label} = '{interface}' overlaps {variable} = '{other}': inside and outside need different "
                "addresses; change one"
            )
    nexthop_value = host.settings["ovn_k8s_gateway_nexthop"]
    try:
        nexthop = addresses.parse_address(nexthop_value)
    except AddressError as error:
        yield f"ovn_k8s_gateway_nexthop of host {host.name} = {nexthop_value!r}: {error}; correct it"
        return
    if nexthop == interface.ip:
        yield _say(
            f"ovn_k8s_gateway_nexthop of host {host.name}",
            nexthop_value,
            "the gateway's own address",
            "name the router behind it",
        )
    elif network.prefixlen < 32 and nexthop not in network:
        yield _say(
            f"ovn_k8s_gateway_nexthop of host {host.name}",
            nexthop_value,
            f"not in the network {network} of ovn_k8s_gateway_address",
            "name a router in that network, or correct the prefix length",
        )


def _gateway_ip(host: InventoryHost) -> Any:
    if host.groups[0] != "gateways":
        return None
    try:
        return addresses.parse_interface(host.settings["ovn_k8s_gateway_address"]).ip
    except AddressError:
        return None


def _interface(host: InventoryHost, variable: str) -> Iterator[str]:
    value = host.settings[variable]
    if not isinstance(value, str) or not _INTERFACE.fullmatch(value) or len(value) > LONGEST_INTERFACE:
        yield _say(
            f"{variable} of host {host.name}",
            value,
            f"no interface name (at most {LONGEST_INTERFACE} characters, no space, '/', ':' or '%')",
            "correct it",
        )


def _unique(hosts: Sequence[InventoryHost], variable: str, key: Any, reason: str) -> list[str]:
    seen: dict[str, list[str]] = {}
    for host in hosts:
        value = key(host)
        if value is not None:
            seen.setdefault(str(value), []).append(host.name)
    return [
        f"{variable} = {value!r} is that of the hosts {' and '.join(names)}: {reason}; give each its own"
        for value, names in seen.items()
        if len(names) > 1
    ]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _say(variable: str, value: Any, reason: str, remedy: str) -> str:
    return f"{variable} = {value!r} is {reason}; {remedy}"
