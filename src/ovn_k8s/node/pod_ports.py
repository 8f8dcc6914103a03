# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The pods' ports on the integration bridge, in Open vSwitch's own database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ovn_k8s.cni.protocol import CniError, Code
from ovn_k8s.core.pods import OWNER_PREFIX
from ovn_k8s.core.rows import OWNER_KEY
from ovn_k8s.host.config import INTEGRATION_BRIDGE
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.monitor import Monitor, RowChange
from ovn_k8s.ovsdb.remote import parse_remotes
from ovn_k8s.ovsdb.replica import Replica

from .waiting import wait_for

TRANSACTION_SECONDS = 10.0


@dataclass(frozen=True)
class PodPort:
    """A pod's OVS interface. `ids` are its external_ids; `ofport` is 0 before vswitchd has added it, -1 on failure."""

    name: str
    ids: Mapping[str, str]
    ofport: int
    error: str

    @property
    def installed(self) -> bool:
        """Whether ovn-controller has put the flows of its logical port in place."""
        return self.ofport > 0 and self.ids.get("ovn-installed") == "true"

    @property
    def sandbox(self) -> str:
        """The container id."""
        return self.ids.get("sandbox", "")


class PodPorts:
    """A replica of the ports of Open vSwitch, and the two transactions that add and remove one."""

    def __init__(self, remote: str, on_sync: Callable[[], None]) -> None:
        self._on_sync = on_sync
        self._replica = Replica(
            parse_remotes(remote),
            "Open_vSwitch",
            {
                "Bridge": Monitor(("name",)),
                "Interface": Monitor(("name", "external_ids", "ofport", "error")),
            },
            on_change=self._on_change,
            on_sync=self._synced,
        )
        self._changed = threading.Condition(self._replica.lock)

    def start(self) -> None:
        """Connect in the background."""
        self._replica.start()

    def stop(self) -> None:
        """End the connection."""
        self._replica.stop()

    @property
    def synced(self) -> bool:
        """Whether Open vSwitch's database is connected."""
        return self._replica.synced

    def has_bridge(self) -> bool:
        """Whether the integration bridge is there."""
        with self._changed:
            try:
                return self._replica.database.find("Bridge", INTEGRATION_BRIDGE) is not None
            except ConnectionFailed:
                return False

    def wake(self) -> None:
        """Let all waits look again."""
        with self._changed:
            self._changed.notify_all()

    def _synced(self) -> None:
        self.wake()
        self._on_sync()

    def _on_change(self, _: Sequence[RowChange]) -> None:
        self._changed.notify_all()

    def find(self, name: str) -> PodPort | None:
        """The port of this interface name in the replica; raises ConnectionFailed before the first connection."""
        with self._changed:
            row = self._replica.database.find("Interface", name)
            return _pod_port(row.columns) if row else None

    def all(self) -> list[PodPort]:
        """All ports that belong to pods. Raises ConnectionFailed before the first connection."""
        with self._changed:
            rows = list(self._replica.database.rows("Interface"))
        ports = (_pod_port(row.columns) for row in rows)
        return [port for port in ports if port.ids.get(OWNER_KEY, "").startswith(OWNER_PREFIX) and port.sandbox]

    def add(self, name: str, ids: Mapping[str, str], type_: str = "") -> None:
        """Add a port with these external_ids to the integration bridge; `type_` is that of its interface.

        Raises:
            OvsdbError: the database is away or refused; the error names the cause.
        """
        external_ids = ["map", [[key, value] for key, value in ids.items()]]
        owner = ["map", [[OWNER_KEY, ids[OWNER_KEY]]]]
        bridge = [["name", "==", INTEGRATION_BRIDGE]]
        interface: dict[str, Any] = {"name": name, "external_ids": external_ids, "type": type_}
        port = {"name": name, "interfaces": ["named-uuid", "interface"], "external_ids": owner}
        self._replica.transact(
            [
                {  # without the bridge the new rows would vanish silently
                    "op": "wait",
                    "timeout": 0,
                    "table": "Bridge",
                    "where": bridge,
                    "columns": ["name"],
                    "until": "==",
                    "rows": [{"name": INTEGRATION_BRIDGE}],
                },
                {"op": "insert", "table": "Interface", "row": interface, "uuid-name": "interface"},
                {"op": "insert", "table": "Port", "row": port, "uuid-name": "port"},
                {
                    "op": "mutate",
                    "table": "Bridge",
                    "where": bridge,
                    "mutations": [["ports", "insert", ["named-uuid", "port"]]],
                },
            ],
            TRANSACTION_SECONDS,
        )

    def reopen(self, name: str, type_: str) -> None:
        """Let Open vSwitch try again to open an interface: it does when the type becomes another. Raises OvsdbError."""
        where = [["name", "==", name]]
        for text in ("", type_):
            update = {"op": "update", "table": "Interface", "where": where, "row": {"type": text}}
            self._replica.transact([update], TRANSACTION_SECONDS)

    def remove(self, name: str) -> bool:
        """Remove the port of this name; whether there was one. Raises OvsdbError."""
        where = [["name", "==", name]]
        found = self._replica.transact(
            [{"op": "select", "table": "Port", "where": where, "columns": ["_uuid"]}], TRANSACTION_SECONDS
        )[0]["rows"]
        if not found:
            return False
        uuids = ["set", [row["_uuid"] for row in found]]
        self._replica.transact(
            [{"op": "mutate", "table": "Bridge", "where": [], "mutations": [["ports", "delete", uuids]]}],
            TRANSACTION_SECONDS,
        )
        return True

    def wait_installed(self, name: str, deadline: float, cancelled: Callable[[], bool]) -> None:
        """Wait until ovn-controller reports the port's flows as installed.

        Raises:
            CniError: 101 when Open vSwitch cannot open the interface, 11 at `deadline` or when cancelled.
        """

        def probe() -> PodPort | None:
            if cancelled():
                raise CniError(Code.TRY_AGAIN_LATER, f"interface {name}: given up, the sandbox is being removed")
            port = self.find(name)
            if port and port.error:
                raise CniError(Code.INTERFACE_FAILURE, f"Open vSwitch cannot use interface {name}", port.error)
            return port if port and port.installed else None

        if wait_for(self._changed, probe, deadline):
            return
        port = self.find(name)
        if not self._replica.synced:
            hint = "Open vSwitch's database is not connected; is openvswitch-switch running?"
        elif port is None:
            hint = "its port has been removed by somebody else"
        elif port.ofport <= 0:
            hint = "ovs-vswitchd has not added it; is it running?"
        else:
            hint = "ovn-controller has not installed its flows; is it running and connected to the southbound database?"
        raise CniError(Code.TRY_AGAIN_LATER, f"interface {name} is not ready", hint)


def _pod_port(columns: Mapping[str, Any]) -> PodPort:
    return PodPort(columns["name"], columns["external_ids"], columns["ofport"] or 0, columns["error"] or "")
