# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Taking away what the helper has made, so that the bridge is an ordinary switch again.

A bridge without controller has one flow from the start, which makes it a switch (NORMAL). Whoever deletes all flows
by hand takes that one away too, and Open vSwitch does not put it back: so it is written again where nothing else is
left, in the same step in which the helper's flows go. Without it nobody would be reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ovn_k8s.core.database import Database
from ovn_k8s.core.gateway_flows import COOKIE, SharedBridge
from ovn_k8s.core.openflow import NORMAL, Flow, Match, Output
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.topology import gateway_owner
from ovn_k8s.host.bridges import ANNOUNCING_OWNER, external_ids_row, with_announcing
from ovn_k8s.host.words import in_words
from ovn_k8s.netlink.links import RT_SCOPE_LINK, Netlink, Route
from ovn_k8s.openflow.channel import Channel, ChannelError
from ovn_k8s.openflow.messages import ADD, DELETE, flow_mod
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.remote import parse_remotes

from .config import Config
from .host_side import HostSide, apply
from .openvswitch import announcing

SWITCH = Flow("switch", "what every bridge without controller begins with", 0, 0, Match(), (Output(NORMAL),))
_TABLES = ("Open_vSwitch", "Bridge", "Port", "Interface")


def clear(config: Config, handle: Netlink) -> list[str]:
    """Flows, packet filter, route, patch ports and announcement; what was there, in words.

    Raises:
        HostSideError, LinkError: the kernel refused.
        OvsdbError, PlanError: Open vSwitch's database did.
    """
    changes: list[str] = []
    try:
        with Channel(config.management_socket) as channel:
            changes += _clear_flows(channel, config.bridge)
    except ChannelError:
        pass  # no bridge, so no flows
    alias = SharedBridge(wire=1, pods=None, mac="", addresses=(), masquerade=config.masquerade).service_alias
    apply(HostSide((), config.node_ports, alias, ""), config.bridge, handle)
    link = handle.link(config.bridge)
    route = Route(f"{alias}/32", scope=RT_SCOPE_LINK)
    if link and any(known.destination == route.destination for _, known in handle.routes(link)):
        handle.delete_route(link, route)
        changes.append(f"{config.bridge}: route {route.destination} removed")
    try:
        with Client(parse_remotes(f"unix:{config.openvswitch}/db.sock"), "Open_vSwitch") as ovs:
            gone = ovs.converge(_TABLES, lambda actual: _plan(actual, config.node_name))
    except ConnectionFailed:
        return changes  # Open vSwitch is not there
    return [*changes, *in_words(gone)]


def _clear_flows(channel: Channel, bridge: str) -> Iterator[str]:
    stored = channel.all_flows()
    ours = [flow for flow in stored if flow.cookie == COOKIE]
    steps = [partial(flow_mod, command=DELETE, cookie=COOKIE, flow=None)] if ours else []
    if ours:
        yield f"{bridge}: {len(ours)} flows removed"
    if not any(flow.table == 0 and flow.cookie != COOKIE for flow in stored):
        steps.append(partial(flow_mod, command=ADD, cookie=0, flow=SWITCH))
        yield f"{bridge}: is a switch again"
    if steps:
        channel.bundle(steps)


def _plan(actual: Database, node: str) -> Plan:
    ids = {**announcing(actual, None), **with_announcing(actual, False)}
    rows = [external_ids_row(ids)] if actual.count("Open_vSwitch") else []
    return plan(rows, actual, owners=[gateway_owner(node), ANNOUNCING_OWNER])
