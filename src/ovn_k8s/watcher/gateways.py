# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Gateways that announce their own address: the network follows them.

A gateway tells its address in its Chassis row, the only one that its certificate lets it write
(`core.gateway_announcement`); this puts it into the northbound database, which gateways cannot reach. Every node could
announce something, so only those are heard that are gateways already, or that the configuration names.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from ovn_k8s.core.addresses import AddressError
from ovn_k8s.core.database import Database
from ovn_k8s.core.gateway_announcement import CMS_OPTIONS, Announcement, announced
from ovn_k8s.core.layout import WantedGateway, cluster_router, grounds_of_choice, with_join_addresses
from ovn_k8s.core.topology import gateway_owner, gateway_router, gateway_topology
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.monitor import Monitor, RowChange
from ovn_k8s.ovsdb.replica import Replica

from .handler import Wish
from .workqueue import Key

LOG = logging.getLogger(__name__)

KIND = "gateway"
SOUTHBOUND = "OVN_Southbound"
TABLES = {"Chassis": Monitor(("name", "other_config"))}


@dataclass(frozen=True)
class Networks:
    """Those of the whole cluster."""

    cluster: IPv4Network
    join: IPv4Network


class GatewayHandler:
    """Gateways with an announcement get the rows for it; those without stay as they are."""

    kind = KIND

    def __init__(self, southbound: Replica, networks: Networks, named: Collection[str] = ()) -> None:
        self._southbound = southbound
        self._networks = networks
        self._named = frozenset(named)

    def everything(self) -> Iterator[Key]:
        """Every chassis that announces something."""
        return (Key(KIND, "", name) for name in self._announcements())

    def prepare(self, database: Database) -> None:
        """Nothing is kept."""

    def nodes_changed(self, database: Database) -> list[Key]:
        """Nothing: gateways have switches of their own."""
        return []

    def wish(self, key: Key, database: Database) -> Wish:
        """The rows of the address that the gateway announces now."""
        announcement = self._announcements().get(key.name)
        if announcement is None:
            return Wish(hands_off=True)
        known = database.find("Logical_Router", gateway_router(key.name))
        ours = known is not None and known.owner == gateway_owner(key.name)
        if not (ours and known and known.columns["options"].get("chassis") == key.name) and key.name not in self._named:
            return Wish(
                waits_for=f"announces {announcement.address} but is no gateway of this cluster; is left aside",
                hands_off=True,
            )
        router = cluster_router(database)
        if not router:
            return Wish(waits_for="there is no cluster router in the northbound database", retry=True, hands_off=True)
        try:
            wanted = _wanted(key.name, announcement, database)
            (gateway,) = with_join_addresses([wanted], self._networks.join, database)
        except AddressError as error:
            return Wish(waits_for=str(error), retry=True, hands_off=True)
        rows = gateway_topology(router, self._networks.cluster, self._networks.join, gateway)
        return Wish(tuple(rows), unchanged=() if known else grounds_of_choice(router))

    def settled(self, key: Key) -> None:
        """Nothing is kept."""

    def _announcements(self) -> dict[str, Announcement]:
        """By the chassis' name; what was known last while the southbound database is away."""
        with self._southbound.lock:
            try:
                rows = [row.columns for row in self._southbound.database.rows("Chassis")]
            except ConnectionFailed:
                return {}
        found = ((str(row["name"]), announced(row["other_config"].get(CMS_OPTIONS, ""))) for row in rows)
        return {name: announcement for name, announcement in found if announcement}


def keys_of(changes: Sequence[RowChange]) -> Iterable[Key]:
    """The gateways that changes of Chassis rows have to do with. For `Replica.on_change`."""
    for change in changes:
        before, after = (_options(columns) for columns in (change.old, change.new))
        if before != after:
            yield Key(KIND, "", str((change.new or change.old or {})["name"]))


def _options(columns: object) -> Announcement | None:
    return announced(columns["other_config"].get(CMS_OPTIONS, "")) if isinstance(columns, dict) else None


def _wanted(name: str, announcement: Announcement, database: Database) -> WantedGateway:
    sources = (
        IPv4Network(row.columns["ip_prefix"])
        for row in database.owned(gateway_owner(name))
        if row.table == "Logical_Router_Static_Route" and row.columns["policy"] == "src-ip"
    )
    return WantedGateway(
        name=name,
        chassis=name,
        interface=announcement.interface,
        address=announcement.address,
        nexthop=announcement.nexthop,
        mac=announcement.mac,
        source_networks=tuple(sorted(sources)),
    )
