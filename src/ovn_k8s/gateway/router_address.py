# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The address that the gateway router has in OVN, from the southbound database, which a chassis may read."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address

from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.monitor import Monitor
from ovn_k8s.ovsdb.replica import Replica

from .config import Config


class RouterAddress:
    """Follows the router's port. `changed` is called from another thread."""

    def __init__(self, config: Config, changed: Callable[[], None]) -> None:
        self._port = config.router_port
        monitor = Monitor(("logical_port", "mac"), (["logical_port", "==", self._port],))
        self._replica = Replica(
            config.southbound,
            "OVN_Southbound",
            {"Port_Binding": monitor},
            tls=config.tls,
            on_sync=changed,
            on_change=lambda changes: changed(),
        )

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._replica.start()

    def stop(self) -> None:
        """End the connection."""
        self._replica.stop()

    @property
    def synced(self) -> bool:
        """Whether the southbound database is connected."""
        return bool(self._replica.synced)

    def get(self) -> IPv4Address | None:
        """The address as it was last known; None while it never was, or where OVN has no such port."""
        try:
            with self._replica.lock:
                rows = [row.columns["mac"] for row in self._replica.database.rows("Port_Binding")]
        except ConnectionFailed:
            return None
        return next((address for macs in rows for mac in macs if (address := first_address(mac))), None)


def first_address(mac: str) -> IPv4Address | None:
    """The first IPv4 address of a Port_Binding's `mac`, such as `0a:58:c0:00:02:02 192.0.2.2/24`."""
    for word in mac.split()[1:]:
        try:
            return IPv4Address(word.partition("/")[0])
        except AddressValueError:
            continue
    return None
