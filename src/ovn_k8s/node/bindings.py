# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The node's pods in the southbound database: which address and MAC the watcher gave to whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from ovn_k8s.cni.protocol import CniError, Code
from ovn_k8s.core.pods import pod_port_name
from ovn_k8s.host.config import NodeConfig, Southbound
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.monitor import Monitor, RowChange
from ovn_k8s.ovsdb.remote import Tls, parse_remotes
from ovn_k8s.ovsdb.replica import Replica

from .waiting import wait_for


@dataclass(frozen=True)
class Binding:
    """What a pod's logical port says: `address` with prefix length, `uid` of the pod for which it was made."""

    port: str
    uid: str
    mac: str
    address: IPv4Interface
    gateway: IPv4Address


class Bindings:
    """A replica of the port bindings of this node's pods.

    Each pod port carries the router's address in its node's subnet (`gateway_ip`), which no two nodes share, so one
    condition keeps the other nodes' pods out of the replica.
    """

    def __init__(self, config: NodeConfig, southbound: Southbound) -> None:
        tls = None
        if southbound.private_key:
            tls = Tls(southbound.private_key, southbound.certificate, southbound.ca_certificate)
        own = ["external_ids", "includes", ["map", [["gateway_ip", str(config.router_address)]]]]
        self._node = config.node_name
        self._replica = Replica(
            parse_remotes(southbound.remote),
            "OVN_Southbound",
            {"Port_Binding": Monitor(("logical_port", "external_ids"), (own,))},
            tls=tls,
            on_change=self._on_change,
            on_sync=self.wake,
        )
        self._changed = threading.Condition(self._replica.lock)
        self.listener: Callable[[], None] = lambda: None
        """Called after each change; it must return at once."""

    def start(self) -> None:
        """Connect in the background."""
        self._replica.start()

    def stop(self) -> None:
        """End the connection."""
        self._replica.stop()

    @property
    def synced(self) -> bool:
        """Whether the southbound database is connected."""
        return self._replica.synced

    def wake(self) -> None:
        """Let all waits look again."""
        with self._changed:
            self._changed.notify_all()
        self.listener()

    def _on_change(self, _: Sequence[RowChange]) -> None:
        self._changed.notify_all()
        self.listener()

    def external_ids(self, port: str) -> Mapping[str, str] | None:
        """Those of a logical port of this node; empty when there is no such port, None while that is not known."""
        if not self._replica.synced:
            return None
        with self._changed:
            for row in self._replica.database.rows("Port_Binding"):
                if row.columns["logical_port"] == port:
                    found: Mapping[str, str] = row.columns["external_ids"]
                    return found
        return {}

    def wait(self, namespace: str, name: str, uid: str, deadline: float, cancelled: Callable[[], bool]) -> Binding:
        """The binding of a pod; with a `uid`, only the one that was made for that very pod.

        Raises:
            CniError: code 11, with what is missing, when there is none at `deadline` or the wait was cancelled.
        """

        def probe() -> Binding | None:
            if cancelled():
                raise CniError(Code.TRY_AGAIN_LATER, f"pod {namespace}/{name}: given up, the sandbox is being removed")
            found = self._find(namespace, name)
            return found if found and uid in ("", found.uid) else None

        binding = wait_for(self._changed, probe, deadline)
        if binding is None:
            raise CniError(Code.TRY_AGAIN_LATER, *self._missing(namespace, name, uid))
        return binding

    def _find(self, namespace: str, name: str) -> Binding | None:
        try:
            database = self._replica.database  # rows of a lost connection stay usable
        except ConnectionFailed:
            return None
        port = pod_port_name(namespace, name)
        for row in database.rows("Port_Binding"):  # one node's pods: a few hundred at most
            if row.columns["logical_port"] == port:
                return _binding(port, row.columns["external_ids"])
        return None

    def _missing(self, namespace: str, name: str, uid: str) -> tuple[str, str]:
        port = pod_port_name(namespace, name)
        if not self._replica.synced:
            return (
                f"pod {namespace}/{name}: the southbound database is not connected",
                "is ovn-central up on the master?",
            )
        with self._changed:
            found = self._find(namespace, name)
        if found:
            return (
                f"pod {namespace}/{name}: logical port {port} is still that of an earlier pod",
                f"it was made for uid {found.uid}, wanted is {uid}; is ovn-k8s-watcher running on the master?",
            )
        return (
            f"pod {namespace}/{name}: there is no logical port {port} on switch {self._node}",
            "is ovn-k8s-watcher running on the master?",
        )


def _binding(port: str, ids: Mapping[str, Any]) -> Binding | None:
    """None for a row that lacks something or holds nonsense: it is being written, or is not the watcher's."""
    try:
        return Binding(
            port,
            ids.get("pod_uid", ""),
            ids["mac_address"].lower(),
            IPv4Interface(ids["ip_address"]),
            IPv4Address(ids["gateway_ip"]),
        )
    except (KeyError, ValueError):
        return None
