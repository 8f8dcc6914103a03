# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Moving: what is wanted and whether it can be, onto the bridge, and back.

A move is recorded before its first step and each step can be undone from the record alone, so whatever interrupts it,
`undo` leads back. The bridge has the addresses before the NIC loses them; the network manager then makes them its own.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from ovn_k8s.netlink import host_stack
from ovn_k8s.netlink.packet_filter import FilterError, hear_again
from ovn_k8s.ovsdb.client import Client

from . import openvswitch
from .errors import UplinkError
from .kernel import Facts, Interface, Kernel, write_settings
from .managers.detect import by_name, manager_of
from .managers.manager import SETTLE_SECONDS, Manager, within
from .record import (
    KEPT,
    MOVING,
    RETURNING,
    Record,
    load,
    load_all,
    originals,
    remove,
    restore_files,
    save,
    write_files,
)

LOG = logging.getLogger(__name__)
LONGEST_NAME = 15
APPEAR_SECONDS = 10.0
RESTORE_SECONDS = 3.0
"""How long a network manager is left alone with a NIC that has come back, before it is given what it had."""
_ALIASES = IPv4Network("169.254.0.0/16")
"""Routes to it are the gateway helper's, and of no use on the NIC."""


@dataclass(frozen=True)
class Wish:
    """What somebody asks for. `bridge` and `datapath_type` may be empty: br<nic>, and as the integration bridge has it.

    `seconds`: how long a move waits for its confirmation before it is undone; 0 keeps it at once.
    `default_route`: whether the NIC must have one.
    """

    nic: str
    bridge: str = ""
    datapath_type: str = ""
    seconds: float = 30.0
    default_route: bool = True


class Machine:
    """The parts of the machine that a move touches. `remote` is Open vSwitch's database."""

    def __init__(self, kernel: Kernel, ovs: Client, directory: Path) -> None:
        self.kernel, self.ovs, self.directory = kernel, ovs, directory

    def required(self, name: str) -> Interface:
        """An interface. Raises UplinkError when it is not there."""
        found = self.kernel.interface(name)
        if found is None:
            raise UplinkError(f"interface {name} is not there; this machine has {', '.join(self.kernel.names())}")
        return found

    # What is wanted

    def plan(self, wish: Wish) -> tuple[Record, list[str]]:
        """What would be done to fulfil a wish, and in words; no words when it is fulfilled.

        Raises:
            UplinkError: it cannot be.
        """
        bridge = wish.bridge or f"br{wish.nic}"
        if len(bridge.encode()) > LONGEST_NAME:
            raise UplinkError(
                f"bridge name {bridge} is longer than the {LONGEST_NAME} bytes that an interface's name can have: "
                "choose one with --bridge"
            )
        actual = self.ovs.snapshot(openvswitch.TABLES)
        known = load(wish.nic, self.directory)
        holder = openvswitch.bridge_of(actual, wish.nic)
        if known and known.state != KEPT:
            raise UplinkError(
                f"{wish.nic} is being moved right now; it is confirmed or undone within {known.seconds:g} s"
            )
        if known:
            if known.bridge != bridge or (wish.datapath_type and wish.datapath_type != known.datapath_type):
                raise UplinkError(
                    f"{wish.nic} is in bridge {known.bridge} ({known.datapath_type}) already; `ovn-k8s-overlay "
                    f"bridge-to-nics {wish.nic}` takes it out"
                )
            return known, self._repairs(known)
        nic = self.required(wish.nic)
        if holder or nic.master:
            raise UplinkError(f"{wish.nic} is in {holder or nic.master} already, which nics-to-bridge has not made")
        if self.kernel.interface(bridge) or actual.find("Bridge", bridge):
            raise UplinkError(f"there is an interface or bridge {bridge} already: choose another name with --bridge")
        facts = self.kernel.facts(nic)
        if not facts.addresses:
            raise UplinkError(f"{wish.nic} has no address: is it up, and has its DHCP server answered?")
        if wish.default_route and not any(route.default for route in facts.routes):
            raise UplinkError(
                f"{wish.nic} has no default route, so it is not the way out of this machine: name another interface, "
                "or say --no-default-route when it is meant"
            )
        manager = manager_of(nic)
        files = manager.files(nic, bridge, facts)
        datapath = wish.datapath_type or openvswitch.default_datapath(actual)
        record = Record(wish.nic, bridge, datapath, manager.name, MOVING, wish.seconds, facts, files, originals(files))
        given = [f"{bridge}: {what}" for what in (*facts.addresses, *(f"route {r}" for r in facts.routes))]
        rows = openvswitch.present(self.ovs, record, check=True)
        return record, [*rows, *given, *(f"{path}: written" for path in files)]

    def _repairs(self, record: Record) -> list[str]:
        """What has been changed behind our back."""
        rows = openvswitch.present(self.ovs, record, check=True)
        present = originals(record.files)
        wrong = [
            path
            for path, content in record.files.items()
            if (was.content if (was := present[path]) else None) != content
        ]
        return [*rows, *(f"{path}: written" for path in wrong)]

    def repair(self, record: Record) -> None:
        """Have rows and files as they were."""
        openvswitch.present(self.ovs, record)
        write_files(record.files, record.before)

    # Moving

    def move(self, record: Record) -> None:
        """Onto the bridge, up to the point where somebody can confirm it.

        Raises:
            UplinkError, OvsdbError, PlanError: it cannot be; what was done has to be undone.
        """
        manager = by_name(record.manager)
        nic = self.required(record.nic)
        manager.release(record)
        openvswitch.present(self.ovs, record)
        openvswitch.await_port(self.ovs, record.nic, lambda: True, APPEAR_SECONDS)
        openvswitch.await_port(
            self.ovs, record.bridge, lambda: self.kernel.interface(record.bridge) is not None, APPEAR_SECONDS
        )
        bridge = self.required(record.bridge)
        write_settings(bridge.name, record.facts.settings)
        self.kernel.set_up(nic)
        self.kernel.set_up(bridge)
        self._give(bridge, record.facts)
        self.kernel.flush(nic)
        self._rules(record.facts, nic.name, bridge.name)
        if record.datapath_type == "netdev":
            host_stack.write(nic.name, host_stack.SILENT)
        manager.adopt(record)
        self._check(bridge, record.facts, self._await(bridge, record.facts, manager.settled, dynamic=False))

    def keep(self, record: Record) -> None:
        """The move has been confirmed."""
        save(record.moved(KEPT), self.directory)

    def give_back(self, record: Record) -> None:
        """Off the bridge. Raises as `move`."""
        bridge = self.kernel.interface(record.bridge)
        facts = self._now(bridge, record) if bridge else record.facts
        manager = by_name(record.manager)
        manager.abandon(record)
        self._take_out(record, facts)
        manager.restore(record)
        nic = self.required(record.nic)
        self._check(nic, facts, self._await(nic, facts, manager.settled, dynamic=False))

    def undo(self, record: Record) -> None:
        """The state before, from whatever was reached. What cannot be done is logged and the rest is done."""
        LOG.warning("%s: putting back what was before", record.nic)
        manager = by_name(record.manager)
        if record.state == RETURNING:
            for step in (
                lambda: write_files(record.files, record.before),
                lambda: self.move(record),
            ):
                _try(record.nic, step)
            save(record.moved(KEPT), self.directory)
            return
        for step in (
            lambda: manager.abandon(record),
            lambda: self._take_out(record, record.facts),
            lambda: restore_files(record.before),
            lambda: manager.restore(record),
            lambda: self._restored(record, manager),
        ):
            _try(record.nic, step)
        remove(record.nic, self.directory)

    def _restored(self, record: Record, manager: Manager) -> None:
        self._await(self.required(record.nic), record.facts, manager.settled, dynamic=True, seconds=RESTORE_SECONDS)

    def _take_out(self, record: Record, facts: Facts) -> None:
        """The NIC out of the bridge, with what the bridge had."""
        openvswitch.absent(self.ovs, record)
        if not within(APPEAR_SECONDS, lambda: self.kernel.interface(record.bridge) is None):
            raise UplinkError(f"interface {record.bridge} is still there; is ovs-vswitchd running?")
        nic = self.required(record.nic)
        with contextlib.suppress(FilterError):  # without nft there is no filter
            hear_again()
        write_settings(nic.name, record.facts.settings)
        self.kernel.set_up(nic)
        self._give(nic, facts)
        self._rules(facts, record.bridge, nic.name)

    def _now(self, bridge: Interface, record: Record) -> Facts:
        """What the bridge has, without what is the gateway helper's."""
        now = self.kernel.facts(bridge)
        routes = tuple(r for r in now.routes if r.family != 2 or not IPv4Network(r.destination).subnet_of(_ALIASES))
        return Facts(now.addresses, routes, now.rules, record.facts.settings, record.facts.mtu, record.facts.mac)

    def _give(self, interface: Interface, facts: Facts, *, dynamic: bool = True) -> None:
        """Addresses and routes that it does not have yet."""
        present = {address.key for address in self.kernel.addresses(interface)}
        for address in facts.addresses:
            if address.key not in present and (dynamic or not address.dynamic):
                self.kernel.add_address(interface, address)
        routes = {route.key for route in self.kernel.routes(interface)}
        # Those that others go through first: a router has to be reachable when a route names it.
        for route in sorted(facts.routes, key=lambda route: (bool(route.gateway), route.default)):
            if route.key not in routes and (dynamic or not route.dynamic):
                self.kernel.replace_route(interface, route)

    def _rules(self, facts: Facts, old: str, new: str) -> None:
        for rule in facts.rules:
            self.kernel.move_rule(rule, old, new)

    def _await(
        self,
        interface: Interface,
        facts: Facts,
        settled: Callable[[Interface, bool], bool],
        *,
        dynamic: bool,
        seconds: float = SETTLE_SECONDS,
    ) -> bool:
        """Let the network manager finish; then add what it does not know of, with `dynamic` what it did not get too.

        Whether it has finished: an address may be there that was leased before, and that nobody will renew.
        """

        leased = any(address.dynamic for address in facts.addresses)

        def done() -> bool:
            return settled(interface, leased) and self._missing(interface, facts) == ""

        finished = within(seconds, done)
        self._give(interface, facts, dynamic=dynamic)
        return finished

    def _missing(self, interface: Interface, facts: Facts) -> str:
        """What an interface lacks to be what another was; addresses may have changed, not gone."""
        wanted = {a.family for a in facts.addresses if a.scope == 0}
        present = {a.family for a in self.kernel.addresses(interface) if a.scope == 0}
        for family in sorted(wanted - present):
            leased = any(a.dynamic for a in facts.addresses if a.family == family)
            cause = ", no DHCP server or router has answered there" if leased else ""
            return f"{interface.name} has got no {'IPv4' if family == 2 else 'IPv6'} address{cause}"
        routes = {r.family for r in self.kernel.routes(interface) if r.default}
        for family in sorted({r.family for r in facts.routes if r.default} - routes):
            return f"{interface.name} has got no default route for {'IPv4' if family == 2 else 'IPv6'}"
        return ""

    def _check(self, interface: Interface, facts: Facts, finished: bool) -> None:
        if missing := self._missing(interface, facts):
            raise UplinkError(missing)
        if not finished:
            leased = any(address.dynamic for address in facts.addresses)
            cause = ": no DHCP server or router has answered there" if leased else ""
            raise UplinkError(f"the network manager has not finished with {interface.name}{cause}")

    # At boot

    def at_boot(self) -> None:
        """Before ovs-vswitchd and the network managers start: moves that nobody has confirmed are undone on disk."""
        for record in load_all(self.directory):
            if record.state == MOVING:
                LOG.warning("%s: nobody has confirmed its move to %s; undone", record.nic, record.bridge)
                openvswitch.absent(self.ovs, record)
                restore_files(record.before)
                remove(record.nic, self.directory)
            elif record.state == RETURNING:
                LOG.warning("%s: nobody has confirmed that it left %s; undone", record.nic, record.bridge)
                openvswitch.present(self.ovs, record)
                write_files(record.files, record.before)
                self.keep(record)

    def at_start(self) -> None:
        """Once ovs-vswitchd runs: NICs are up and quiet, and bridges that no manager cares for have what they had."""
        for record in load_all(self.directory):
            if record.state != KEPT:
                continue
            there = within(APPEAR_SECONDS, lambda name=record.bridge: self.kernel.interface(name) is not None)  # type: ignore[misc]
            nic, bridge = self.kernel.interface(record.nic), self.kernel.interface(record.bridge)
            if not there or nic is None or bridge is None:
                LOG.error("%s or %s is not there", record.nic, record.bridge)
                continue
            self.kernel.set_up(nic)
            if record.datapath_type == "netdev":
                host_stack.write(nic.name, host_stack.SILENT)
            if record.manager == "nobody":
                self.kernel.set_up(bridge)
                self._give(bridge, record.facts)
                self.kernel.flush(nic)


def machine(remote: str, directory: Path) -> Machine:
    """The parts of this machine. Raises OvsdbError when Open vSwitch's database cannot be reached."""
    return Machine(Kernel(), openvswitch.connect(remote), directory)


def _try(nic: str, step: Callable[[], None]) -> None:
    try:
        step()
    except Exception as error:  # the next step may still bring somebody back in
        LOG.error("%s: %s", nic, error)
        time.sleep(0.2)
