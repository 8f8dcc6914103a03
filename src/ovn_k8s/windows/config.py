# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""C:\\ProgramData\\ovn-k8s\\node.toml: what a Windows node knows about its own place in the network."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from ovn_k8s.core.addresses import AddressError, parse_address, parse_network, router_address
from ovn_k8s.core.hns.objects import SMALLEST_OVERLAY_VSID
from ovn_k8s.host.config import Southbound

from .api import Access

HYBRID_OVERLAY, OVS = "hybrid_overlay", "ovs"
DATAPATHS = (HYBRID_OVERLAY, OVS)
CONTAINERD, DOCKER = "containerd", "docker"
RUNTIMES = (CONTAINERD, DOCKER)
DOCKER_PIPE = r"\\.\pipe\docker_engine"

OPENVSWITCH = "tcp:127.0.0.1:6640"
TRANSPARENT_NETWORK = "ovn-k8s"
"""Name of the network whose virtual switch is Open vSwitch's."""

NETWORK = "OVNKubernetesHybridOverlayNetwork"
"""Name of the overlay network; upstream's own agent for Windows uses the same."""
VNI = 4097
JOIN_CIDR = IPv4Network("100.64.0.0/16")
ENCAP_OVERHEAD = 100
"""Bytes that pods leave free of the underlay's MTU: what the Linux nodes' pods do, so that both have the same MTU."""


class ConfigError(Exception):
    """The file is missing or says something impossible; the message names the file, the key and the value."""


@dataclass(frozen=True)
class NodeConfig:
    """The whole file. `adapter` empty leaves the choice to HNS."""

    node_name: str
    node_address: IPv4Address
    cluster_cidr: IPv4Network
    service_cidr: IPv4Network
    node_subnet: IPv4Network
    adapter: str = ""
    vni: int = VNI
    join_cidr: IPv4Network = JOIN_CIDR
    encap_overhead: int = ENCAP_OVERHEAD
    datapath: str = HYBRID_OVERLAY
    runtime: str = CONTAINERD
    docker_pipe: str = DOCKER_PIPE
    southbound: Southbound | None = None
    openvswitch: str = OPENVSWITCH
    kubernetes: Access | None = None
    """Without it the node makes its networks, but no routes to other nodes."""

    @property
    def gateway(self) -> IPv4Address:
        """The overlay router's address in the node's subnet."""
        return router_address(self.node_subnet)


def load(path: Path) -> NodeConfig:
    """Read the file. Raises ConfigError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; the role windows_worker writes it") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    try:
        return _parse(document)
    except (AddressError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _parse(document: Mapping[str, Any]) -> NodeConfig:
    known = (
        "node_name",
        "node_address",
        "cluster_cidr",
        "service_cidr",
        "node_subnet",
        "adapter",
        "vni",
        "join_cidr",
        "encap_overhead",
        "datapath",
        "runtime",
        "docker_pipe",
        "southbound",
        "openvswitch",
        "kubernetes",
    )
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ValueError(f"unknown key {', '.join(unknown)}; there are {', '.join(known)}")
    missing = [key for key in known[:5] if key not in document]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    name, adapter, vni = document["node_name"], document.get("adapter", ""), document.get("vni", VNI)
    if not isinstance(name, str) or not name:
        raise ValueError(f"node_name is {name!r}, not a name")
    if not isinstance(adapter, str):
        raise ValueError(f"adapter is {adapter!r}, not a name")
    if not isinstance(vni, int) or not SMALLEST_OVERLAY_VSID <= vni < 1 << 24:
        raise ValueError(f"vni is {vni!r}, not a number from {SMALLEST_OVERLAY_VSID}")
    overhead, pipe = document.get("encap_overhead", ENCAP_OVERHEAD), document.get("docker_pipe", DOCKER_PIPE)
    if isinstance(overhead, bool) or not isinstance(overhead, int) or not 0 <= overhead <= 500:
        raise ValueError(f"encap_overhead is {overhead!r}, not a number of bytes from 0 to 500")
    if not isinstance(pipe, str) or not pipe.startswith("\\\\.\\pipe\\"):
        raise ValueError(f"docker_pipe is {pipe!r}, not the path of a named pipe such as {DOCKER_PIPE}")
    config = NodeConfig(
        name,
        parse_address(document["node_address"]),
        parse_network(document["cluster_cidr"]),
        parse_network(document["service_cidr"]),
        parse_network(document["node_subnet"]),
        adapter,
        vni,
        parse_network(document.get("join_cidr", str(JOIN_CIDR))),
        overhead,
        _one_of(document, "datapath", DATAPATHS),
        _one_of(document, "runtime", RUNTIMES),
        pipe,
        _southbound(document["southbound"]) if "southbound" in document else None,
        _openvswitch(document.get("openvswitch", {})),
        _access(document["kubernetes"]) if "kubernetes" in document else None,
    )
    if config.datapath == OVS and config.southbound is None:
        raise ValueError("datapath is ovs, and [southbound] is missing")
    if not config.node_subnet.subnet_of(config.cluster_cidr):
        raise ValueError(f"node_subnet {config.node_subnet} is not in cluster_cidr {config.cluster_cidr}")
    if config.cluster_cidr.overlaps(config.service_cidr):
        raise ValueError(f"service_cidr {config.service_cidr} overlaps cluster_cidr {config.cluster_cidr}")
    return config


def _southbound(document: Any) -> Southbound:
    keys = ("remote", "private_key", "certificate", "ca_certificate")
    if not isinstance(document, Mapping) or not set(document) <= set(keys) or not document.get("remote"):
        raise ValueError(f"[southbound] needs {', '.join(keys)}, and nothing else")
    values = [document.get(key, "") for key in keys]
    if not all(isinstance(value, str) for value in values):
        raise ValueError("[southbound] has a value that is no text")
    if "ssl:" in values[0] and not all(values):
        raise ValueError("[southbound] with ssl: needs private_key, certificate and ca_certificate")
    return Southbound(*values)


def _openvswitch(document: Any) -> str:
    remote = document.get("remote", OPENVSWITCH) if isinstance(document, Mapping) else None
    if not isinstance(remote, str) or not remote:
        raise ValueError("[openvswitch] needs remote, such as tcp:127.0.0.1:6640")
    return remote


def _one_of(document: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = document.get(key, allowed[0])
    if value not in allowed:
        raise ValueError(f"{key} is {value!r}, none of {', '.join(allowed)}")
    return str(value)


def _access(document: Any) -> Access:
    known = ("server", "ca_certificate", "certificate", "private_key")
    if not isinstance(document, Mapping) or set(document) != set(known):
        raise ValueError(f"[kubernetes] needs {', '.join(known)}, and nothing else")
    if not all(isinstance(document[key], str) and document[key] for key in known):
        raise ValueError("[kubernetes] has a value that is no text")
    if not document["server"].startswith("https://"):
        raise ValueError(f"[kubernetes] server is {document['server']!r}, not an https:// address")
    return Access(document["server"], *(Path(document[key]) for key in known[1:]))
