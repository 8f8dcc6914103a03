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

from ovn_k8s.core.addresses import AddressError, parse_network
from ovn_k8s.ovsdb.remote import Remote, Tls, parse_remotes

DEFAULT_PATH = "/etc/ovn-k8s/watcher.toml"
DEFAULT_ADDRESS = "127.0.0.1"
DEFAULT_PORT = 9409


class ConfigError(Exception):
    """The file cannot be used. The message names the file, the setting and what it should be."""


@dataclass(frozen=True)
class Config:
    """What the watcher is told."""

    cluster_cidr: IPv4Network
    service_cidr: IPv4Network
    northbound: tuple[Remote, ...]
    tls: Tls | None
    kubeconfig: str
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
    try:
        remotes = parse_remotes(reader.text("northbound", "remote"))
    except ValueError as error:
        raise ConfigError(f"{path}: northbound.remote: {error}") from None
    tls = None
    if any(remote.scheme == "ssl" for remote in remotes):
        tls = Tls(
            private_key=credential(reader.text("northbound", "private_key")),
            certificate=credential(reader.text("northbound", "certificate")),
            ca_certificate=credential(reader.text("northbound", "ca_certificate")),
        )
    return Config(
        cluster_cidr=reader.network("cluster_cidr"),
        service_cidr=reader.network("service_cidr"),
        northbound=remotes,
        tls=tls,
        kubeconfig=credential(reader.text("kubernetes", "kubeconfig")),
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

    def network(self, name: str) -> IPv4Network:
        """An IPv4 network."""
        try:
            network: IPv4Network = parse_network(self._get(name))
            return network
        except AddressError as error:
            raise ConfigError(f"{self._path}: {name}: {error}") from None
