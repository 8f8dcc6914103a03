# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which of several gateways has the addresses that are no gateway's own: of services, and of namespaces' ways out.

An address belongs to the first gateway, in an order, in whose network it is. A gateway that does not answer goes to the
end of the order. One that has addresses keeps them while it answers: whoever died and is back gets none of them again,
since each move ends the connections of the address, and a gateway that comes and goes would take them along each time.

Who has addresses is marked in the database, on the gateway's default route (`topology.exit_route`). All that rests on
it is read from there, and the next leader goes on where the last one ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network

from .database import Database, row_owner
from .topology import HOLDER_KEY, exit_owner, gateway_owner, gateway_router, outside_port


def gateways(database: Database) -> list[str]:
    """The gateways that have a router, sorted."""
    owners = (row_owner(row.columns).partition("/") for row in database.rows("Logical_Router"))
    return sorted(name for kind, _slash, name in owners if kind == "gateway")


def outside(database: Database) -> dict[str, IPv4Interface]:
    """The address of each gateway's router in the world, with its network."""
    found = {}
    for name in gateways(database):
        port = database.find("Logical_Router_Port", outside_port(gateway_router(name)))
        if port is not None and port.owner == gateway_owner(name):
            found[name] = IPv4Interface(min(port.columns["networks"]))
    return found


def order(
    networks: Mapping[str, IPv4Network], alive: Callable[[str], bool | None], present: Collection[str]
) -> tuple[str, ...]:
    """The gateways; who comes first has the addresses. `alive`: None while not known. `present`: who has some now."""

    def rank(name: str) -> tuple[bool, bool, bool, str]:
        answers = alive(name)
        return answers is False, name not in present, answers is None, name

    return tuple(sorted(networks, key=rank))


def holders(networks: Mapping[str, IPv4Network], ranked: Sequence[str]) -> frozenset[str]:
    """Those in whose network not every address is an earlier one's."""
    return frozenset(
        name
        for number, name in enumerate(ranked)
        if not any(networks[name].subnet_of(networks[earlier]) for earlier in ranked[:number])
    )


def chosen(database: Database, alive: Callable[[str], bool | None]) -> frozenset[str]:
    """Who is to have addresses now."""
    networks = {name: interface.network for name, interface in outside(database).items()}
    return holders(networks, order(networks, alive, _marked(database)))


def present_order(database: Database) -> tuple[str, ...]:
    """The order that the database has; by name where none is marked."""
    networks = {name: interface.network for name, interface in outside(database).items()}
    return order(networks, lambda name: None, _marked(database))


def shared_networks(database: Database) -> dict[str, tuple[IPv4Network, ...]]:
    """For each gateway the parts of its network whose addresses an earlier one has."""
    networks = {name: interface.network for name, interface in outside(database).items()}
    ranked = present_order(database)
    return {
        name: tuple(
            max(networks[name], networks[earlier], key=lambda network: network.prefixlen)
            for earlier in ranked[:number]
            if networks[name].overlaps(networks[earlier])
        )
        for number, name in enumerate(ranked)
    }


def _marked(database: Database) -> frozenset[str]:
    rows = database.rows("Logical_Router_Static_Route")
    owners = {row.owner for row in rows if row.columns["external_ids"].get(HOLDER_KEY)}
    return frozenset(name for name in gateways(database) if exit_owner(name) in owners)
