# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The configuration file, /etc/ovn-k8s/gateway-helper.toml.

```toml
node_name = "gw"
bridge = "breth0"
interface = "eth0"
node_ports = "30000-32767"           # --service-node-port-range of kube-apiserver
tunnel_ports = [6081, 4789]          # UDP ports of the node's own tunnels
external = ["203.0.113.0/24"]        # where LoadBalancer and external addresses come from; default: anywhere
masquerade = "169.254.169.0/29"      # addresses that stay within the bridge
[conntrack]
zone = 64000
[openvswitch]
directory = "/run/openvswitch"       # with db.sock and <bridge>.mgmt
[southbound]                         # as in node.toml; without it, OVN is taken to know the address that the bridge has
remote = "ssl:172.30.0.11:6642"
private_key = "/etc/ovn-k8s/pki/ovn.key"
certificate = "/etc/ovn-k8s/pki/ovn.crt"
ca_certificate = "/etc/ovn-k8s/pki/ca.crt"
[http]
address = "127.0.0.1"
port = 9410                          # /healthz /readyz /metrics
```
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from ovn_k8s.core.addresses import AddressError, parse_network
from ovn_k8s.core.gateway_flows import (
    DEFAULT_MASQUERADE,
    DEFAULT_NODE_PORTS,
    DEFAULT_TUNNEL_PORTS,
    DEFAULT_ZONE,
)
from ovn_k8s.openflow.channel import DEFAULT_DIRECTORY
from ovn_k8s.ovsdb.remote import Remote, Tls, parse_remotes

DEFAULT_PATH = Path("/etc/ovn-k8s/gateway-helper.toml")
DEFAULT_ADDRESS, DEFAULT_PORT = "127.0.0.1", 9410
LONGEST_NAME = 15
"""Bytes of an interface's name (IFNAMSIZ less one)."""
_LONGEST_MASQUERADE = 29
_PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")
_KEYS = frozenset(
    {"node_name", "bridge", "interface", "node_ports", "tunnel_ports", "external", "masquerade"}
    | {"conntrack", "openvswitch", "southbound", "http"}
)


class ConfigError(Exception):
    """The file cannot be used. The message names the file, the setting, its value and what it should be."""


@dataclass(frozen=True)
class Config:
    """What the helper is told."""

    node_name: str
    bridge: str
    interface: str
    zone: int = DEFAULT_ZONE
    node_ports: tuple[int, int] = DEFAULT_NODE_PORTS
    tunnel_ports: tuple[int, ...] = DEFAULT_TUNNEL_PORTS
    external: tuple[IPv4Network, ...] | None = None
    masquerade: IPv4Network = DEFAULT_MASQUERADE
    openvswitch: str = DEFAULT_DIRECTORY
    southbound: tuple[Remote, ...] = ()
    tls: Tls | None = None
    http_address: str = DEFAULT_ADDRESS
    http_port: int = DEFAULT_PORT

    @property
    def patch_port(self) -> str:
        """The bridge's patch port towards br-int."""
        return f"k8s-patch-{self.bridge}-br-int"

    @property
    def router_port(self) -> str:
        """The gateway router's port towards the bridge."""
        return f"rtoe-GR_{self.node_name}"

    @property
    def management_socket(self) -> str:
        """Where the bridge speaks OpenFlow."""
        return f"{self.openvswitch}/{self.bridge}.mgmt"


def load(path: Path) -> Config:
    """Read the file. Raises ConfigError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        return parse(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(document: Mapping[str, Any]) -> Config:
    """The configuration from a decoded file. Raises ConfigError."""
    unknown = sorted(set(document) - _KEYS)
    if unknown:
        raise ConfigError(f"{unknown[0]} is no setting; there are {', '.join(sorted(_KEYS))}")
    openvswitch, http = _section(document, "openvswitch"), _section(document, "http")
    remotes, tls = _southbound(_section(document, "southbound"))
    external = document.get("external")
    masquerade = _network("masquerade", document.get("masquerade", str(DEFAULT_MASQUERADE)))
    if masquerade.prefixlen > _LONGEST_MASQUERADE:
        raise ConfigError(f"masquerade {masquerade} is too small: five addresses are needed, a /29")
    return Config(
        node_name=_text(document, "node_name"),
        bridge=_interface(document, "bridge"),
        interface=_interface(document, "interface"),
        zone=_number("conntrack.zone", _section(document, "conntrack").get("zone", DEFAULT_ZONE), 1, 65535),
        node_ports=_port_range(document.get("node_ports", "{}-{}".format(*DEFAULT_NODE_PORTS))),
        tunnel_ports=tuple(
            _number("tunnel_ports", port, 1, 65535) for port in _list(document, "tunnel_ports", DEFAULT_TUNNEL_PORTS)
        ),
        external=None if external is None else tuple(_network("external", n) for n in _list(document, "external", ())),
        masquerade=masquerade,
        openvswitch=_text(openvswitch, "directory", DEFAULT_DIRECTORY),
        southbound=remotes,
        tls=tls,
        http_address=_text(http, "address", DEFAULT_ADDRESS),
        http_port=_number("http.port", http.get("port", DEFAULT_PORT), 0, 65535),
    )


def credential(path: str) -> str:
    """The file of the same name that systemd has handed over (LoadCredential=), else the file itself."""
    handed = Path(os.environ.get("CREDENTIALS_DIRECTORY") or "/nonexistent") / Path(path).name
    return str(handed) if handed.is_file() else path


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{name} is not a section: write [{name}]")
    return section


def _text(section: Mapping[str, Any], key: str, default: str = "") -> str:
    value = section.get(key, default)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{key} is missing or no text: {value!r}")
    return value


def _interface(document: Mapping[str, Any], key: str) -> str:
    name = _text(document, key)
    if len(name.encode()) > LONGEST_NAME:
        raise ConfigError(f"{key} {name!r} is longer than the {LONGEST_NAME} bytes that an interface's name can have")
    return name


def _list(document: Mapping[str, Any], key: str, default: tuple[Any, ...]) -> tuple[Any, ...]:
    value = document.get(key, default)
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"{key} is not a list: {value!r}")
    return tuple(value)


def _number(key: str, value: Any, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ConfigError(f"{key} {value!r} is no number from {lowest} to {highest}")
    return value


def _port_range(value: Any) -> tuple[int, int]:
    found = _PORTS.fullmatch(value) if isinstance(value, str) else None
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < first <= last <= 65535:
        raise ConfigError(f"node_ports {value!r} is no range of ports such as 30000-32767")
    return first, last


def _network(key: str, value: Any) -> IPv4Network:
    try:
        network: IPv4Network = parse_network(value)
    except AddressError as error:
        raise ConfigError(f"{key}: {error}") from None
    return network


def _southbound(section: Mapping[str, Any]) -> tuple[tuple[Remote, ...], Tls | None]:
    if not section:
        return (), None
    try:
        remotes = parse_remotes(_text(section, "remote"))
    except ValueError as error:
        raise ConfigError(f"southbound.remote: {error}") from None
    if not any(remote.scheme == "ssl" for remote in remotes):
        return remotes, None
    keys = ("private_key", "certificate", "ca_certificate")
    return remotes, Tls(*(credential(_text(section, key)) for key in keys))
