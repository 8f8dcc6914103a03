# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The configuration file, /etc/ovn-k8s/watcher.toml."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from ovn_k8s.core.addresses import LONGEST_NODE_PREFIX, NO_IPV6, AddressError, parse_network
from ovn_k8s.ovsdb.remote import Remote, Tls, parse_remotes

DEFAULT_PATH = "/etc/ovn-k8s/watcher.toml"
DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 9409
DEFAULT_NODE_PREFIX = 24
DEFAULT_JOIN = "100.64.0.0/16"
_DEFAULT_JOIN_NETWORK = IPv4Network(DEFAULT_JOIN)


class ConfigError(Exception):
    """The file cannot be used. The message names the file, the setting and what it should be."""


@dataclass(frozen=True)
class Config:
    """What the watcher is told.

    `node_prefix`: prefix length of a new node's subnet. `southbound` is empty where gateways are not to be followed;
    `gateways` names those that may announce an address before they have one.
    """

    cluster_cidr: IPv4Network
    service_cidr: IPv4Network
    northbound: tuple[Remote, ...]
    tls: Tls | None
    kubeconfig: str
    node_prefix: int = DEFAULT_NODE_PREFIX
    join_cidr: IPv4Network = _DEFAULT_JOIN_NETWORK
    southbound: tuple[Remote, ...] = ()
    southbound_tls: Tls | None = None
    gateways: tuple[str, ...] = ()
    http_address: str = DEFAULT_ADDRESS
    http_port: int = DEFAULT_PORT


def load(path: str) -> Config:
    """Read the file. Files that systemd hands over as credentials go before those of the same name in it.

    Raises ConfigError.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    reader = _Reader(path, document)
    northbound, tls = reader.database("northbound")
    southbound, southbound_tls = reader.database("southbound") if "southbound" in document else ((), None)
    cluster = reader.network("cluster_cidr")
    return Config(
        cluster_cidr=cluster,
        service_cidr=reader.network("service_cidr"),
        northbound=northbound,
        tls=tls,
        kubeconfig=credential(reader.text("kubernetes", "kubeconfig")),
        node_prefix=reader.prefix("node_prefix", max(DEFAULT_NODE_PREFIX, cluster.prefixlen), cluster),
        join_cidr=reader.network("join_cidr", DEFAULT_JOIN),
        southbound=southbound,
        southbound_tls=southbound_tls,
        gateways=reader.names("gateways"),
        http_address=reader.text("http", "address", DEFAULT_ADDRESS),
        http_port=reader.port("http", "port", DEFAULT_PORT),
    )


def credential(path: str) -> str:
    """The file of the same name in $CREDENTIALS_DIRECTORY when systemd has put one there, else the file itself."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    handed = Path(directory) / Path(path).name
    return str(handed) if directory and handed.is_file() else path


class _Reader:
    def __init__(self, path: str, document: dict[str, Any]) -> None:
        self._path = path
        self._document = document

    def _get(self, *names: str) -> Any:
        value: Any = self._document
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def text(self, *names_and_default: str) -> str:
        """`section, name[, default]`"""
        section, name, *default = names_and_default
        value = self._get(section, name)
        if value is None and default:
            return default[0]
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{self._path}: {section}.{name} is {value!r} and has to be a text")
        return value

    def port(self, section: str, name: str, default: int) -> int:
        """A TCP port; 0 for any."""
        value = self._get(section, name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 65536:
            raise ConfigError(f"{self._path}: {section}.{name} is {value!r} and has to be a port number")
        return value

    def prefix(self, name: str, default: int, cluster: IPv4Network) -> int:
        """Prefix length of a part of the cluster network."""
        value = self._document.get(name, default)
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or not cluster.prefixlen <= value <= LONGEST_NODE_PREFIX
        ):
            raise ConfigError(
                f"{self._path}: {name} is {value!r} and has to be {cluster.prefixlen} (that of cluster_cidr) to "
                f"{LONGEST_NODE_PREFIX}"
            )
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        value = self._document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ConfigError(f"{self._path}: {name} is {value!r} and has to be a list of names")
        return tuple(value)

    def network(self, name: str, default: str | None = None) -> IPv4Network:
        """An IPv4 network."""
        value = self._document.get(name, default)
        if isinstance(value, str) and ":" in value:
            raise ConfigError(f"{self._path}: {name} is {value!r}: {NO_IPV6}")
        try:
            network: IPv4Network = parse_network(value)
            return network
        except AddressError as error:
            raise ConfigError(f"{self._path}: {name}: {error}") from None

    def database(self, section: str) -> tuple[tuple[Remote, ...], Tls | None]:
        """A section with `remote` and, for TLS, the three files."""
        try:
            remotes = parse_remotes(self.text(section, "remote"))
        except ValueError as error:
            raise ConfigError(f"{self._path}: {section}.remote: {error}") from None
        if not any(remote.scheme == "ssl" for remote in remotes):
            return remotes, None
        files = ("private_key", "certificate", "ca_certificate")
        return remotes, Tls(**{name: credential(self.text(section, name)) for name in files})
