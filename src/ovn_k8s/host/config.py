# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""/etc/ovn-k8s/node.toml: what a node knows about its own place in the network."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from ovn_k8s.core.addresses import (
    AddressError,
    mac_for,
    node_address,
    parse_interface,
    parse_network,
    router_address,
)

from . import subnet_record
from .errors import HostError

DEFAULT_PATH = Path("/etc/ovn-k8s/node.toml")
DEFAULT_OVS_REMOTE = "unix:/run/openvswitch/db.sock"
INTEGRATION_BRIDGE = "br-int"
DATAPATH_TYPES = ("system", "netdev")
DEFAULT_JOIN = IPv4Network("100.64.0.0/16")


class ConfigError(Exception):
    """The file is missing or says something impossible; the message names the file, the key and the value."""


@dataclass(frozen=True)
class Underlay:
    """The NIC that Open vSwitch takes into a bridge, and the address that the bridge then has."""

    bridge: str
    interface: str
    address: IPv4Interface


@dataclass(frozen=True)
class Southbound:
    """How the southbound database is reached. The three paths are empty for a remote without TLS."""

    remote: str
    private_key: str = ""
    certificate: str = ""
    ca_certificate: str = ""


@dataclass(frozen=True)
class NodeConfig:
    """The whole file. `mtu` in bytes is that of pods and of the management port.

    `node_subnet` is None on a machine that has no place in the network yet; what rests on it raises ConfigError then.
    `subnet_fixed`: the file itself says it, so it is not looked for elsewhere.
    `node_ip`: the node's address among the nodes, from which its processes talk to its own pods and at which it has
    node ports; None: from the management one, and no node ports.
    `join_cidr`: where the routers of gateways are, which ask nodes what services lead there.
    """

    node_name: str
    cluster_cidr: IPv4Network
    service_cidr: IPv4Network
    node_subnet: IPv4Network | None
    mtu: int
    datapath_type: str
    underlay: Underlay | None = None
    gateway_interface: str = ""
    southbound: Southbound | None = None
    ovs_remote: str = DEFAULT_OVS_REMOTE
    subnet_fixed: bool = False
    node_ip: IPv4Address | None = None
    join_cidr: IPv4Network = DEFAULT_JOIN

    @property
    def subnet(self) -> IPv4Network:
        """The node's subnet. Raises ConfigError while it has none."""
        if self.node_subnet is None:
            raise ConfigError(f"node {self.node_name} has no subnet yet: it gets one when it is a node of the cluster")
        return self.node_subnet

    @property
    def userspace(self) -> bool:
        """Whether Open vSwitch forwards packets itself instead of the kernel."""
        return self.datapath_type == "netdev"

    @property
    def router_address(self) -> IPv4Address:
        """The cluster router's address in the node's subnet."""
        return router_address(self.subnet)

    @property
    def management_address(self) -> IPv4Interface:
        """The node's own address in its subnet, with prefix length."""
        return IPv4Interface(f"{node_address(self.subnet)}/{self.subnet.prefixlen}")

    @property
    def management_mac(self) -> str:
        return mac_for(node_address(self.subnet))

    @property
    def management_port(self) -> str:
        """The logical port, and so the `iface-id`, of the management interface."""
        return f"k8s-{self.node_name}"

    @property
    def management_interface(self) -> str:
        """The interface's name: at most 15 characters."""
        return f"k8s-{self.node_name[:11]}"

    @property
    def gateway_port(self) -> str:
        """The logical port of the gateway interface, or an empty string."""
        return f"{self.gateway_interface}_{self.node_name}" if self.gateway_interface else ""


def load(path: Path = DEFAULT_PATH, record: Path = subnet_record.DEFAULT_RECORD) -> NodeConfig:
    """Read the file; a subnet that it does not say is the one in `record`.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has missing or impossible values; or the record has.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; it is written by the roles of ovn_k8s.cluster") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        config = parse(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if config.subnet_fixed:
        return config
    try:
        recorded = subnet_record.read(record)
    except HostError as error:
        raise ConfigError(str(error)) from None
    if recorded is not None and not recorded.subnet_of(config.cluster_cidr):
        raise ConfigError(f"{record}: {recorded} lies outside cluster_cidr {config.cluster_cidr} of {path}")
    return dataclasses.replace(config, node_subnet=recorded)


def parse(data: Mapping[str, Any]) -> NodeConfig:
    """The configuration from a decoded file; raises `ConfigError` with the key and the value."""
    cluster_cidr = _network(data, "cluster_cidr")
    node_subnet = _network(data, "node_subnet") if "node_subnet" in data else None
    if node_subnet and not node_subnet.subnet_of(cluster_cidr):
        raise ConfigError(f"node_subnet {node_subnet} lies outside cluster_cidr {cluster_cidr}")
    mtu = data.get("mtu", 1400)
    if isinstance(mtu, bool) or not isinstance(mtu, int) or not 576 <= mtu <= 65000:
        raise ConfigError(f"mtu {mtu!r} is not a number of bytes from 576 to 65000")
    datapath_type = data.get("datapath_type", "system")
    if datapath_type not in DATAPATH_TYPES:
        raise ConfigError(f"datapath_type {datapath_type!r} is none of {', '.join(DATAPATH_TYPES)}")
    return NodeConfig(
        node_name=_text(data, "node_name"),
        cluster_cidr=cluster_cidr,
        service_cidr=_network(data, "service_cidr"),
        node_subnet=node_subnet,
        mtu=mtu,
        datapath_type=datapath_type,
        underlay=_underlay(_section(data, "underlay")),
        gateway_interface=_text(_section(data, "gateway"), "gateway.interface") if "gateway" in data else "",
        southbound=_southbound(_section(data, "southbound")),
        ovs_remote=_section(data, "openvswitch").get("remote", DEFAULT_OVS_REMOTE),
        subnet_fixed=node_subnet is not None,
        node_ip=_address(data, "node_ip") if "node_ip" in data else None,
        join_cidr=_network(data, "join_cidr") if "join_cidr" in data else DEFAULT_JOIN,
    )


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = data.get(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{name} is not a section: write [{name}]")
    return section


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key.rpartition(".")[2])
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} is missing or not a text: {value!r}")
    return value


def _network(data: Mapping[str, Any], key: str) -> IPv4Network:
    try:
        return parse_network(_text(data, key))
    except AddressError as error:
        raise ConfigError(f"{key}: {error}") from error


def _address(data: Mapping[str, Any], key: str) -> IPv4Address:
    try:
        return IPv4Address(_text(data, key))
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from error


def _underlay(data: Mapping[str, Any]) -> Underlay | None:
    if not data:
        return None
    try:
        address = parse_interface(_text(data, "underlay.address"))
    except AddressError as error:
        raise ConfigError(f"underlay.address: {error}") from error
    bridge, interface = _text(data, "underlay.bridge"), _text(data, "underlay.interface")
    if bridge in (interface, INTEGRATION_BRIDGE):
        raise ConfigError(f"underlay.bridge {bridge!r} is the name of another interface")
    return Underlay(bridge, interface, address)


def _southbound(data: Mapping[str, Any]) -> Southbound | None:
    if not data:
        return None
    remote = _text(data, "southbound.remote")
    keys = ("private_key", "certificate", "ca_certificate")
    if "ssl:" in remote:
        return Southbound(remote, *(_text(data, f"southbound.{key}") for key in keys))
    return Southbound(remote)
