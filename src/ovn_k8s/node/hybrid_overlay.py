# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""br-ext: the VXLAN side of a Linux node for Windows nodes that have no OVN.

The watcher writes what it needs to know into the logical port int-<node>, where the node's replica of the southbound
database finds it. While there is such a port there is a bridge; its flows are looked at again whenever something has
changed, and from time to time.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ovn_k8s.core.addresses import AddressError
from ovn_k8s.core.database import Database
from ovn_k8s.core.errors import PlanError
from ovn_k8s.core.hybrid_flows import COOKIE, hybrid_flows
from ovn_k8s.core.hybrid_overlay import VXLAN_PORT, BridgeFacts, bridge_facts, port_name
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.rows import MapPatch, Parent, Ref, Row
from ovn_k8s.host.bridges import HYBRID_OVERLAY_OWNER as OWNER
from ovn_k8s.host.config import INTEGRATION_BRIDGE, NodeConfig
from ovn_k8s.openflow.channel import Channel, ChannelError
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import OvsdbError
from ovn_k8s.ovsdb.remote import parse_remotes

LOG = logging.getLogger(__name__)

BRIDGE = "br-ext"
OUTER, INNER, VXLAN = "ext", "int", "ext-vxlan"
"""The patch port on br-ext, the one on br-int, and the tunnel; names as ovn-kubernetes has them."""

TABLES = ("Open_vSwitch", "Bridge", "Port", "Interface")
CHECK_SECONDS = 5
"""How often the flows are looked at when nothing is known to have changed."""
LONG_SECONDS = 60.0
"""The same for the rows of Open vSwitch's database."""
PORTS_SECONDS = 10.0


class NotReady(Exception):
    """The bridge is not as it shall be yet; the message says what is missing."""


def bridge_rows(config: NodeConfig, facts: BridgeFacts) -> Iterator[Row]:
    """The bridge, the patch to br-int with the logical port, and the tunnel, in Open vSwitch's database."""
    yield Row(
        "Bridge",
        BRIDGE,
        {
            "datapath_type": config.datapath_type,
            "fail_mode": "secure",
            "other_config": MapPatch({"hwaddr": facts.router_mac}),
        },
        OWNER,
        Parent("Open_vSwitch", ".", "bridges"),
    )
    yield from _port(BRIDGE, BRIDGE, {"type": "internal"})
    yield from _port(OUTER, BRIDGE, {"type": "patch", "options": {"peer": INNER}})
    tunnel = {"remote_ip": "flow", "key": "flow", "dst_port": str(VXLAN_PORT)}
    yield from _port(VXLAN, BRIDGE, {"type": "vxlan", "options": tunnel})
    ids = {"iface-id": port_name(config.node_name)}
    patch = {"type": "patch", "options": {"peer": OUTER}, "external_ids": MapPatch(ids)}
    yield from _port(INNER, INTEGRATION_BRIDGE, patch)


def bridge_plan(config: NodeConfig, facts: BridgeFacts | None, actual: Database) -> Plan:
    """What to change in Open vSwitch's database; without facts the bridge goes. Raises PlanError."""
    return plan(bridge_rows(config, facts) if facts else [], actual, owners=[OWNER])


class HybridOverlay:
    """Keeps the bridge on a thread of its own. `external_ids` gives those of int-<node>, None when nobody knows yet."""

    def __init__(self, config: NodeConfig, external_ids: Callable[[], Mapping[str, str] | None]) -> None:
        self._config = config
        self._external_ids = external_ids
        self._remotes = parse_remotes(config.ovs_remote)
        self._socket = str(Path(config.ovs_remote.partition(":")[2]).parent / f"{BRIDGE}.mgmt")
        self._stop = threading.Event()
        self._look = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hybrid-overlay", daemon=True)
        self._said = ""
        self._seen: Mapping[str, str] | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; bridge and flows stay."""
        self._stop.set()
        self._look.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CHECK_SECONDS)

    def look(self) -> None:
        """Something may have changed. Returns at once."""
        ids = self._external_ids()
        if ids != self._seen:
            self._seen = ids
            self._look.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                facts = self._facts()
                if facts is None:
                    self._wait(LONG_SECONDS)
                    continue
                self._keep_flows(facts)
            except (NotReady, AddressError, ChannelError, OvsdbError, PlanError) as error:
                self._say(str(error))
                self._wait(1.0)
            except Exception:
                LOG.exception("unexpected failure")
                self._wait(CHECK_SECONDS)

    def _wait(self, seconds: float) -> None:
        self._look.wait(seconds)
        self._look.clear()

    def _say(self, trouble: str) -> None:
        if trouble != self._said:
            LOG.warning("%s", trouble)
        self._said = trouble

    def _facts(self) -> BridgeFacts | None:
        """What the watcher says now; None when nothing is to be done. The database is brought in line with it."""
        ids = self._external_ids()
        if ids is None:
            return None
        facts = bridge_facts(ids) if ids else None
        with Client(self._remotes, "Open_vSwitch") as client:
            changes = bridge_plan(self._config, facts, client.snapshot(TABLES))
            client.commit(changes)
        if changes:
            LOG.info("bridge %s %s", BRIDGE, "brought up to date" if facts else "removed: there is no overlay any more")
        return facts

    def _keep_flows(self, facts: BridgeFacts) -> None:
        """Keep the flows of these facts until it is time to read them anew, or the bridge is lost (ChannelError)."""
        until = time.monotonic() + LONG_SECONDS
        with Channel(self._socket) as channel:
            installed: frozenset[tuple[int, int, bytes]] = frozenset()
            while not self._look.is_set() and time.monotonic() < until:
                channel.poll()
                ports = channel.ports()
                if OUTER not in ports or VXLAN not in ports:
                    self._await_ports(channel)
                    continue
                wanted = hybrid_flows(facts, ports[OUTER].number, ports[VXLAN].number)
                present = frozenset(flow.key for flow in channel.flows(COOKIE))
                if present != installed or not installed:
                    channel.replace(wanted, COOKIE)
                    if installed:
                        LOG.warning("somebody has changed the flows of %s: written anew", BRIDGE)
                    installed = frozenset(flow.key for flow in channel.flows(COOKIE))
                    if installed != present:
                        LOG.info("%d flows written on %s, for %d Windows nodes", len(wanted), BRIDGE, len(facts.peers))
                    self._said = ""
                self._pause(channel)
        self._look.clear()

    def _pause(self, channel: Channel) -> None:
        """Until the switch or the watcher has news, or it is time to look."""
        for _ in range(CHECK_SECONDS):
            if self._look.is_set() or select.select([channel], [], [], 1.0)[0]:
                return

    def _await_ports(self, channel: Channel) -> None:
        if not select.select([channel], [], [], PORTS_SECONDS)[0]:
            raise NotReady(f"{BRIDGE} has no port {OUTER} or {VXLAN} after {PORTS_SECONDS:g} s; see ovs-vswitchd's log")


def _port(name: str, bridge: str, interface: Mapping[str, object]) -> Iterator[Row]:
    yield Row("Interface", name, interface, OWNER)
    yield Row("Port", name, {"interfaces": [Ref("Interface", name)]}, OWNER, Parent("Bridge", bridge, "ports"))
