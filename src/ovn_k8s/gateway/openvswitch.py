# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The helper's part of Open vSwitch's database: patch ports, what announces addresses to neighbours, and to masters."""

from __future__ import annotations

from collections.abc import Callable

from ovn_k8s.core.database import Database
from ovn_k8s.core.gateway_announcement import CMS_OPTIONS, Announcement, with_announcement
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.host.bridges import announcing_rows, external_ids_row, patch_rows, with_announcing
from ovn_k8s.ovsdb.monitor import Monitor
from ovn_k8s.ovsdb.remote import parse_remotes
from ovn_k8s.ovsdb.replica import Replica

_TABLES = {
    "Open_vSwitch": Monitor(("bridges", "external_ids")),
    "Bridge": Monitor(("name", "ports", "external_ids", "datapath_type", "fail_mode")),
    "Port": Monitor(("name", "interfaces", "external_ids")),
    "Interface": Monitor(("name", "type", "options", "external_ids", "ofport", "error")),
}


def announcing(actual: Database, announcement: Announcement | None) -> dict[str, str | None]:
    """`ovn-cms-options` with the announcement, or with none. None: the key goes."""
    stored = next(iter(actual.rows("Open_vSwitch")), None)
    options = stored.columns["external_ids"].get(CMS_OPTIONS, "") if stored else ""
    return {CMS_OPTIONS: with_announcement(options, announcement) or None}


class OpenVSwitch:
    """A replica of the database, and what the helper wants of it. `changed` is called from another thread."""

    def __init__(self, directory: str, changed: Callable[[], None]) -> None:
        remotes = parse_remotes(f"unix:{directory}/db.sock")
        self._replica = Replica(remotes, "Open_vSwitch", _TABLES, on_sync=changed, on_change=lambda changes: changed())

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._replica.start()

    def stop(self) -> None:
        """End the connection."""
        self._replica.stop()

    @property
    def synced(self) -> bool:
        """Whether the database is connected."""
        return bool(self._replica.synced)

    def userspace(self, bridge: str) -> bool:
        """Whether the bridge is of the userspace datapath; False while that is not known."""
        if not self._replica.synced:
            return False
        with self._replica.lock:
            row = self._replica.database.find("Bridge", bridge)
            return bool(row and row.columns["datapath_type"] == "netdev")

    def lacks(self, bridge: str, interface: str) -> bool:
        """Whether the bridge is not there, or does not have this port; False while that is not known."""
        if not self._replica.synced:
            return False
        with self._replica.lock:
            database = self._replica.database
            row, port = database.find("Bridge", bridge), database.find("Port", interface)
            return not (row and port and port.uuid in row.columns["ports"])

    def converge(self, bridge: str, node: str, announcement: Announcement | None) -> int:
        """Make the rows what they shall be; the number of changes. Without connection nothing is done.

        Raises:
            PlanError: somebody else's row has our name, or a bridge is not there yet.
            OvsdbError: the database refused.
        """
        if not self._replica.synced:
            return 0
        with self._replica.lock:
            wanted = self._plan(bridge, node, announcement)
        self._replica.commit(wanted)
        return len(wanted.changes)

    def _plan(self, bridge: str, node: str, announcement: Announcement | None) -> Plan:
        actual = self._replica.database
        rows = [*patch_rows(bridge, node), *announcing_rows(actual)]
        if actual.count("Open_vSwitch"):
            ids = announcing(actual, announcement) if announcement else {}
            rows.append(external_ids_row({**with_announcing(actual, True), **ids}))
        return plan(rows, actual)
