# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Bringing a machine to what its configuration says, and back."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

from ovn_k8s.core.database import Database
from ovn_k8s.core.node_services import ALIASES
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.topology import node_owner
from ovn_k8s.netlink import host_stack
from ovn_k8s.netlink.links import RT_SCOPE_LINK, RTPROT_KERNEL, Link, Netlink, Route, netlink
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.remote import parse_remotes

from . import bridges, services, state
from .config import INTEGRATION_BRIDGE, NodeConfig, Underlay
from .errors import HostError
from .interfaces import set_addresses, set_routes, set_settings, set_up
from .recorder import Recorder
from .state import HostState, InterfaceFacts
from .words import in_words

APPEAR_SECONDS = 20.0
"""How long ovs-vswitchd may take to make, take or remove an interface."""
REFUSED_SECONDS = 3.0
"""How long it may say that it cannot take one: at boot it may have looked before the interface was there."""
SETTLE_SECONDS = 5.0
"""How long it may take to give one its MAC; one that another program has changed does not hold this up for ever."""
LOCK = Path("/run/ovn-k8s/overlay.lock")
SECOND_METRIC = 1024
"""Of ways that serve while the better ones are gone."""


def apply(config: NodeConfig, *, check: bool = False, state_path: Path = state.DEFAULT_PATH) -> list[str]:
    """Make bridges, ports, addresses and routes what they shall be; the changes in words.

    A node without a subnet gets all but the port on its switch.

    Raises:
        HostError: an interface is missing or does not appear.
        OvsdbError, PlanError, LinkError: Open vSwitch or the kernel refused.
    """
    recorder = Recorder(check=check)
    with _alone(check), _openvswitch(config) as ovs, netlink() as handle:
        saved = state.load(state_path)
        nic = _required(handle, config.underlay.interface) if config.underlay else None
        gateway = _required(handle, config.gateway_interface) if config.gateway_interface else None
        before = ovs.snapshot(bridges.TABLES)
        _remember(handle, config, before, saved, nic, gateway)
        if not check:
            state.save(state_path, saved)
        made = ovs.converge(bridges.TABLES, lambda actual: _desired(config, actual, nic), check=check)
        recorder.changes += list(in_words(made))
        if config.underlay and nic:
            _move_to_bridge(handle, ovs, config.underlay, nic, saved.interfaces[nic.name], recorder)
        if config.node_subnet:
            _management(handle, ovs, config, recorder)
            services.serve(handle, config, recorder)
        if gateway:
            _taken(ovs, gateway.name, recorder)
            set_addresses(handle, gateway, gateway.name, (), recorder)
            set_up(handle, gateway, gateway.name, recorder)
        for taken in (nic, gateway):
            if taken and config.userspace:
                set_settings(taken.name, host_stack.SILENT, recorder)
    return recorder.changes


def remove(config: NodeConfig, *, check: bool = False, state_path: Path = state.DEFAULT_PATH) -> list[str]:
    """Take away what `apply` has made and give interfaces back what they had; the changes in words.

    The integration bridge goes if it was not there before; pods' ports and ovn-controller's go in any case.

    Raises: as `apply`.
    """
    recorder = Recorder(check=check)
    with _alone(check), netlink() as handle:
        saved = state.load(state_path)
        try:
            ovs = _openvswitch(config)
        except ConnectionFailed:
            if not state_path.exists():  # Open vSwitch never was used here
                return []
            raise
        if config.node_subnet:
            services.leave(handle, config, recorder)
        with ovs:
            gone = ovs.converge(bridges.TABLES, lambda actual: _removal(config, actual, saved), check=check)
        recorder.changes += list(in_words(gone))
        ours = [config.management_interface, *([config.underlay.bridge] if config.underlay else [])]
        if not check:
            for name in ours:
                _wait_gone(handle, name)
        for name, facts in saved.interfaces.items():
            link = handle.link(name)
            if link is None:
                recorder.change(f"{name}: is no longer there; its addresses cannot be given back")
                continue
            set_settings(name, facts.settings, recorder)
            if facts.up:
                set_up(handle, link, name, recorder)
            set_addresses(handle, link, name, facts.addresses, recorder)
            set_routes(handle, link, name, facts.routes, recorder)
        if state_path.exists():
            recorder.change(f"{state_path}: removed", lambda: state_path.unlink(missing_ok=True))
    return recorder.changes


def _remember(
    handle: Netlink, config: NodeConfig, before: Database, saved: HostState, nic: Link | None, gateway: Link | None
) -> None:
    """Note what the interfaces have, as long as they have it: once taken, they have nothing and the note stays."""
    if before.find("Bridge", INTEGRATION_BRIDGE) is None:
        saved.created_bridge = True
    for link in (nic, gateway):
        if link is None:
            continue
        if static := handle.static_ipv6_addresses(link):
            raise HostError(
                f"{link.name} has the IPv6 address {static[0]}, which would be lost: this release moves IPv4 only; "
                "take another interface or remove the address"
            )
        facts = InterfaceFacts.read(handle, link)
        known = saved.interfaces.get(link.name)
        if known and facts.settings == host_stack.SILENT:  # these are ours
            facts = dataclasses.replace(facts, settings=known.settings)
        if facts.addresses or not known:
            saved.interfaces[link.name] = facts
    if config.underlay and nic and config.underlay.address not in saved.interfaces[nic.name].addresses:
        facts = saved.interfaces[nic.name]
        same_ip = [address for address in facts.addresses if address.ip == config.underlay.address.ip]
        if same_ip:
            raise HostError(
                f"{nic.name} has {same_ip[0]}, the configuration says {config.underlay.address}: "
                "correct the prefix length in one of the two places"
            )


def _desired(config: NodeConfig, actual: Database, nic: Link | None) -> Plan:
    rows = bridges.desired_rows(config, actual, uplink_mac=nic.mac if nic else "", uplink_mtu=nic.mtu if nic else 0)
    # Rows of ours that are wanted no longer, such as the management port under an earlier name, go.
    return plan(rows, actual, owners=[node_owner(config.node_name)])


def _removal(config: NodeConfig, actual: Database, saved: HostState) -> Plan:
    absent = list(bridges.ports_of_controller(actual))
    bridge = actual.find("Bridge", INTEGRATION_BRIDGE)
    if saved.created_bridge and bridge and not bridge.owner:
        absent.append(("Bridge", INTEGRATION_BRIDGE))
    rows = [bridges.external_ids_row(bridges.with_announcing(actual, False))]
    return plan(rows, actual, owners=lambda owner: bridges.is_ours(config, owner), absent=absent)


def _move_to_bridge(
    handle: Netlink, ovs: Client, underlay: Underlay, nic: Link, facts: InterfaceFacts, recorder: Recorder
) -> None:
    """Addresses and routes of the NIC go to the bridge. The bridge has them before the NIC loses them."""
    bridge = _made(handle, ovs, underlay.bridge, recorder, nic.mac)
    _taken(ovs, nic.name, recorder)
    addresses = tuple(dict.fromkeys((underlay.address, *facts.addresses)))
    set_up(handle, nic, nic.name, recorder)
    set_up(handle, bridge, underlay.bridge, recorder)
    set_addresses(handle, bridge, underlay.bridge, addresses, recorder)
    set_routes(handle, bridge, underlay.bridge, facts.routes, recorder)
    set_addresses(handle, nic, nic.name, (), recorder)


def _management(handle: Netlink, ovs: Client, config: NodeConfig, recorder: Recorder) -> None:
    """The node's own interface on the pod network, and the ways to pods and services through it."""
    name = config.management_interface
    link = _made(handle, ovs, name, recorder, config.management_mac)
    set_up(handle, link, name, recorder)
    set_addresses(handle, link, name, (config.management_address,), recorder)
    routes = tuple(_routes(config, _source(handle, config), there=link is not None))
    set_routes(handle, link, name, routes, recorder, exact=True)


def _source(handle: Netlink, config: NodeConfig) -> str:
    """The address from which the node talks to its pods; empty where it has no such address, at least not now."""
    wanted = config.node_ip
    has_it = any(address.interface.ip == wanted for link in handle.links() for address in handle.addresses(link))
    return str(wanted) if has_it else ""


def _routes(config: NodeConfig, source: str, *, there: bool) -> Iterator[Route]:
    """The ways to pods, services and gateways' routers.

    A UDP server that is bound to no address answers from the one that the route names, and who asks expects that which
    it has asked: the node's. What begins here gets the management address on its way out (services.py). When the node's
    address goes, the kernel takes the routes with it that name it, and others serve.
    """
    if there or source:  # the kernel makes this one by itself, with the management address; it leads to the router
        own = source or str(config.management_address.ip)
        yield Route(str(config.subnet), source=own, protocol=RTPROT_KERNEL, scope=RT_SCOPE_LINK)
    router = str(config.router_address)
    clients = (config.cluster_cidr, config.join_cidr, ALIASES)
    for network in clients:
        yield Route(str(network), router, source=source)
    yield Route(str(config.service_cidr), router)
    for network in clients if source else ():
        yield Route(str(network), router, metric=SECOND_METRIC)


def _made(handle: Netlink, ovs: Client, name: str, recorder: Recorder, mac: str) -> Link | None:
    """The internal interface that ovs-vswitchd makes; in check mode None when it is not there.

    It gets its MAC a moment later, and with the userspace datapath is down meanwhile, which would cost its routes.
    """
    deadline = time.monotonic() + APPEAR_SECONDS
    while (link := handle.link(name)) is None and not recorder.check:
        if time.monotonic() > deadline:
            stored = ovs.snapshot(["Interface"]).find("Interface", name)
            cause = (stored.columns["error"] if stored else None) or "is ovs-vswitchd running?"
            raise HostError(f"interface {name} has not appeared within {APPEAR_SECONDS:g} s: {cause}")
        time.sleep(0.05)
    settled = time.monotonic() + SETTLE_SECONDS
    while link is not None and link.mac != mac and not recorder.check and time.monotonic() < settled:
        time.sleep(0.05)
        link = handle.link(name)
    return link


def _taken(ovs: Client, name: str, recorder: Recorder) -> None:
    """Wait until ovs-vswitchd has the interface: on a bridge without it the addresses would be of no use."""
    begun = time.monotonic()
    while not recorder.check:
        stored = ovs.snapshot(["Interface"]).find("Interface", name)
        error = stored.columns["error"] if stored else None
        if stored and (stored.columns["ofport"] or 0) > 0 and not error:
            return
        if time.monotonic() - begun > (REFUSED_SECONDS if error else APPEAR_SECONDS):
            cause = error or "is ovs-vswitchd running?"
            raise HostError(f"Open vSwitch cannot take {name}: {cause}; {name} keeps its addresses")
        time.sleep(0.05)


def _wait_gone(handle: Netlink, name: str) -> None:
    deadline = time.monotonic() + APPEAR_SECONDS
    while handle.link(name) is not None:
        if time.monotonic() > deadline:
            raise HostError(f"interface {name} is still there; is ovs-vswitchd running?")
        time.sleep(0.05)


def _required(handle: Netlink, name: str) -> Link:
    link = handle.link(name)
    if link is None:
        there = ", ".join(sorted(link.name for link in handle.links()))
        raise HostError(f"interface {name} is not there; this machine has {there}")
    return link


def _openvswitch(config: NodeConfig) -> Client:
    return Client(parse_remotes(config.ovs_remote), "Open_vSwitch")


@contextmanager
def _alone(check: bool) -> Iterator[None]:
    """One at a time on a machine. Check mode changes nothing, so it needs no lock and leaves no file."""
    if check:
        yield
        return
    LOCK.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with os.fdopen(os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)) as lock:  # who may read it may hold it
        flock(lock, LOCK_EX)
        yield
