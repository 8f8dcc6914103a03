# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What interfaces had before Open vSwitch took them, kept so that `remove` can give it back.

Format of the file: {"version": 1, "created_bridge": bool, "interfaces": {name: {"mtu": bytes, "up": bool,
"addresses": ["172.30.0.12/24"], "routes": [{"destination", "gateway", …}], "settings": {"ipv4/rp_filter": "0", …}}}}.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from ovn_k8s.netlink import host_stack
from ovn_k8s.netlink.links import RT_SCOPE_LINK, RTPROT_KERNEL, Link, Netlink, Route

from .errors import HostError

DEFAULT_PATH = Path("/var/lib/ovn-k8s/host-state.json")
VERSION = 1


@dataclass(frozen=True)
class InterfaceFacts:
    """What an interface has: addresses, the routes through it that the kernel does not add by itself, settings.

    Link-local addresses are left aside: daemons give them to an interface that has lost its own to the bridge.
    """

    addresses: tuple[IPv4Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    mtu: int = 1500
    up: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, handle: Netlink, link: Link) -> InterfaceFacts:
        """From the kernel."""
        addresses = [address.interface for address in handle.addresses(link) if address.scope < RT_SCOPE_LINK]
        routes = [route for _, route in handle.routes(link) if route.protocol != RTPROT_KERNEL]
        return cls(tuple(addresses), tuple(routes), link.mtu, link.up, host_stack.read(link.name))


@dataclass
class HostState:
    """The file's content. `created_bridge`: the integration bridge was not there before us."""

    interfaces: dict[str, InterfaceFacts] = field(default_factory=dict)
    created_bridge: bool = False


def load(path: Path) -> HostState:
    """Read the file; a missing one is an empty state. Raises HostError for one that cannot be understood."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            raise HostError(f"{path}: version {document['version']} is of another release of ovn-k8s-overlay")
        interfaces = {name: _facts(entry) for name, entry in document["interfaces"].items()}
        return HostState(interfaces, bool(document["created_bridge"]))
    except FileNotFoundError:
        return HostState()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostError(
            f"{path}: cannot be read ({error}); repair it or, if nothing is to be given back, remove it"
        ) from error


def save(path: Path, state: HostState) -> None:
    """Replace the file; after a crash it is either the old or the new one."""
    document = {
        "version": VERSION,
        "created_bridge": state.created_bridge,
        "interfaces": {name: _entry(facts) for name, facts in sorted(state.interfaces.items())},
    }
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _entry(facts: InterfaceFacts) -> dict[str, Any]:
    return {
        "mtu": facts.mtu,
        "up": facts.up,
        "addresses": [str(address) for address in facts.addresses],
        "routes": [dataclasses.asdict(route) for route in facts.routes],
        "settings": dict(facts.settings),
    }


def _facts(entry: dict[str, Any]) -> InterfaceFacts:
    return InterfaceFacts(
        tuple(IPv4Interface(address) for address in entry["addresses"]),
        tuple(Route(**route) for route in entry["routes"]),
        int(entry["mtu"]),
        bool(entry["up"]),
        {str(name): str(value) for name, value in entry["settings"].items()},
    )
