# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The loop: facts to flows, flows to the bridge, and again whenever something has changed.

Everything is level-triggered: whatever happened, the facts are read anew, and what the bridge has is compared with what
it shall have. Ending the helper leaves the flows in place.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

from ovn_k8s.core.errors import PlanError
from ovn_k8s.core.gateway_announcement import Announcement
from ovn_k8s.core.gateway_flows import COOKIE, EXTERNAL_LIFETIME_S, SharedBridge, gateway_flows
from ovn_k8s.core.openflow import Flow
from ovn_k8s.daemon.log import fields
from ovn_k8s.netlink.links import LinkError, Netlink
from ovn_k8s.netlink.packet_filter import FilterError, hear_again
from ovn_k8s.openflow.channel import Channel, ChannelError
from ovn_k8s.ovsdb.errors import OvsdbError

from .config import Config
from .facts import Facts, KernelEvents, NotReady, Wakeup, read_facts
from .host_side import HostSide, HostSideError, apply, filter_stands, host_side, stands
from .measures import Measures
from .openvswitch import OpenVSwitch
from .router_address import RouterAddress

LOG = logging.getLogger("ovn_k8s.gateway.helper")

CHECK_INTERVAL_S = 5.0
"""How often the flows are looked at when nothing is known to have changed."""
BLIND_INTERVAL_S = 0.5
"""The same for an Open vSwitch that does not tell of changed flows."""
REFRESH_INTERVAL_S = EXTERNAL_LIFETIME_S / 3
SETTLE_S = 0.02
"""How long to wait for more news after the first, so that a burst is one change."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.05, 1.0
REPEAT_S = 60.0
"""How often a lasting problem is logged."""


@dataclass
class Status:
    """What the status pages tell; written by the loop only."""

    connected: bool = False
    problems: list[str] = field(default_factory=list)
    bridge: SharedBridge | None = None
    flows: int = 0
    alive: float = field(default_factory=time.monotonic)


@dataclass
class _Installed:
    """What was put on the bridge, and how the bridge tells of it."""

    flows: tuple[Flow, ...] = ()
    keys: frozenset[tuple[int, int, bytes]] = frozenset()
    refreshed: float = 0.0


class Helper:
    """Runs until `stop` is called, from any thread."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.status = Status()
        self.measures = Measures(lambda: self.status.flows, lambda: self.status.connected)
        self._wakeup = Wakeup()
        self._kernel = KernelEvents.of_network()
        self._packet_filter = KernelEvents.of_packet_filter()
        self._filter_touched = False
        self._netlink = Netlink()
        self._openvswitch = OpenVSwitch(config.openvswitch, self._wakeup.set)
        self._router = RouterAddress(config, self._wakeup.set) if config.southbound else None
        self._host_side: HostSide | None = None
        self._filters = True  # an earlier run of the helper may have left one
        self._stopping = False
        self._said: dict[str, float] = {}

    def stop(self) -> None:
        """End `run`; safe in a signal handler."""
        self._stopping = True
        self._wakeup.set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Keep the flows; `ready` is called once they stand for the first time."""
        self._openvswitch.start()
        if self._router:
            self._router.start()
        delay = FIRST_DELAY_S
        while not self._stopping:
            self.status.alive = time.monotonic()
            try:
                with Channel(self.config.management_socket) as channel:
                    LOG.info("connected to bridge %s", self.config.bridge)
                    self.status.connected = True
                    delay = FIRST_DELAY_S
                    self._serve(channel, ready)
            except ChannelError as error:
                self._problem([str(error)])
                self.measures.failures.add(value="openflow")
                self._let_go()
            self.status.connected = False
            if not self._stopping:
                self._wait([], delay)
                delay = min(delay * 2, LONGEST_DELAY_S)
        self._openvswitch.stop()
        if self._router:
            self._router.stop()
        self._netlink.close()
        self._kernel.close()
        self._packet_filter.close()

    def _serve(self, channel: Channel, ready: Callable[[], None]) -> None:
        installed = _Installed()
        self._host_side = None  # the bridge may be a new one, without the route and with a filter that was taken away
        told = False
        interval = CHECK_INTERVAL_S if channel.watches_flows else BLIND_INTERVAL_S
        while not self._stopping:
            self.status.alive = time.monotonic()
            channel.poll()
            facts = self._facts(channel)
            if facts:
                self._install(channel, facts.bridge, installed)
                self._apply_host_side(facts.bridge)
                self._converge(facts.announcement)
                if not told:
                    ready()
                    told = True
            if self._wait([channel], interval):
                time.sleep(SETTLE_S)

    def _wait(self, more: list[Channel], seconds: float) -> bool:
        """Wait for news; whether some came in time."""
        awaited: list[Any] = [self._wakeup, self._kernel, self._packet_filter, *more]
        readable, _, _ = select.select(awaited, [], [], seconds)
        self._wakeup.drain()
        self._kernel.drain()
        self._filter_touched |= self._packet_filter.drain()
        return bool(readable)

    def _facts(self, channel: Channel) -> Facts | None:
        logical: IPv4Address | None = self._router.get() if self._router else None
        try:
            facts = read_facts(self.config, self._netlink, channel.ports(), logical)
        except (NotReady, LinkError) as error:
            self._problem([str(error)])
            self._let_go()
            return None
        problems = []
        if facts.bridge.pods is None:
            problems.append(f"no patch port {self.config.patch_port} yet: pods have no way out")
        if not facts.bridge.addresses:
            problems.append(f"{self.config.bridge} has no address yet")
        self._problem(problems)
        return facts

    def _install(self, channel: Channel, bridge: SharedBridge, installed: _Installed) -> None:
        """Bring the bridge's flows to what they shall be."""
        wanted = gateway_flows(bridge)
        now = time.monotonic()
        reason = ""
        if wanted != installed.flows:
            reason = "changed" if installed.flows else "connected"
        elif frozenset(flow.key for flow in channel.flows(COOKIE)) != installed.keys:
            reason = "tampered"
        if reason:
            began = time.monotonic()
            channel.replace(wanted, COOKIE)
            took = time.monotonic() - began
            installed.flows, installed.refreshed = wanted, now
            installed.keys = frozenset(flow.key for flow in channel.flows(COOKIE))
            self.measures.writes.add(value=reason)
            self.measures.write_seconds.observe(took)
            self.status.bridge, self.status.flows = bridge, len(wanted)
            LOG.log(
                logging.WARNING if reason == "tampered" else logging.INFO,
                "flows written",
                extra=fields(
                    reason=reason,
                    flows=len(wanted),
                    ms=round(took * 1000, 1),
                    addresses=",".join(map(str, bridge.addresses)),
                    router=bridge.logical if bridge.addresses else "",
                ),
            )
        elif now - installed.refreshed > REFRESH_INTERVAL_S:
            channel.refresh([flow for flow in wanted if flow.lifetime], COOKIE)
            installed.refreshed = now

    def _apply_host_side(self, bridge: SharedBridge) -> None:
        """The kernel's part, when it has to change. A refusal is tried again with the next check.

        A network manager that configures the bridge anew removes routes and neighbours that are not its own, and an
        administrator's packet filter begins by emptying everybody's tables.
        """
        if not self._openvswitch.synced:
            return
        wanted = host_side(bridge, self.config.interface, self._openvswitch.userspace(self.config.bridge))
        touched, self._filter_touched = self._filter_touched, False
        try:
            if wanted == self._host_side and stands(wanted, self.config.bridge, self._netlink):
                if not touched or filter_stands(wanted):
                    return
                LOG.warning("somebody has changed the packet filter: written anew")
            self._host_side = None
            apply(wanted, self.config.bridge, self._netlink)
        except (HostSideError, LinkError) as error:
            self.measures.failures.add(value="host")
            self._problem([*self.status.problems, str(error)])
            return
        self._host_side = wanted
        self._filters = bool(wanted.silent)
        LOG.info("packet filter and route brought up to date")

    def _let_go(self) -> None:
        """Let the kernel have the frames of a NIC that is in the bridge no longer.

        Whoever takes it out does that too, but a filter that is just being written here would come after.
        """
        if not self._filters or not self._openvswitch.lacks(self.config.bridge, self.config.interface):
            return
        try:
            hear_again()
        except FilterError as error:
            LOG.warning("%s", error)
            return
        self._host_side, self._filters = None, False
        LOG.info("%s is not in %s: the kernel hears it", self.config.interface, self.config.bridge)

    def _converge(self, announcement: Announcement | None) -> None:
        try:
            changes = self._openvswitch.converge(self.config.bridge, self.config.node_name, announcement)
        except (OvsdbError, PlanError) as error:
            self.measures.failures.add(value="ovsdb")
            self._problem([*self.status.problems, str(error)])
            return
        if changes:
            LOG.info("Open vSwitch's database brought up to date", extra=fields(changes=changes))

    def _problem(self, problems: list[str]) -> None:
        """Note what is wrong; log it when it is new, and from time to time."""
        now = time.monotonic()
        for text in problems:
            if now - self._said.get(text, -REPEAT_S) >= REPEAT_S:
                LOG.warning("%s", text)
                self._said[text] = now
        if not problems and self.status.problems:
            LOG.info("all is well again")
            self._said.clear()
        self.status.problems = problems

    def health(self) -> list[str]:
        """What keeps the helper itself from working: nothing but a loop that no longer turns."""
        silence = time.monotonic() - self.status.alive
        return [f"the loop has not turned for {silence:.0f} s"] if silence > 4 * CHECK_INTERVAL_S else []

    def ready(self) -> list[str]:
        """What keeps traffic from flowing."""
        if not self.status.connected:
            return [*self.status.problems, f"not connected to bridge {self.config.bridge}"]
        return self.status.problems or ([] if self.status.bridge else ["no flows written yet"])
