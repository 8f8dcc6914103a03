# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Taking away what the helper has made, so that the bridge is an ordinary switch again."""

from __future__ import annotations

from ovn_k8s.core.database import Database
from ovn_k8s.core.gateway_announcement import CMS_OPTIONS, with_announcement
from ovn_k8s.core.gateway_flows import COOKIE, SharedBridge
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.rows import MapPatch, Row
from ovn_k8s.core.topology import gateway_owner
from ovn_k8s.host.words import in_words
from ovn_k8s.netlink.links import RT_SCOPE_LINK, Netlink, Route
from ovn_k8s.openflow.channel import Channel, ChannelError
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import ConnectionFailed
from ovn_k8s.ovsdb.remote import parse_remotes

from .config import Config
from .host_side import HostSide, apply

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
            if flows := channel.flows(COOKIE):
                channel.replace((), COOKIE)
                changes.append(f"{config.bridge}: {len(flows)} flows removed")
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


def _plan(actual: Database, node: str) -> Plan:
    rows = []
    for stored in actual.rows("Open_vSwitch"):
        options = stored.columns["external_ids"].get(CMS_OPTIONS)
        if options is not None:
            rest = with_announcement(options, None)
            patch = MapPatch({CMS_OPTIONS: rest}) if rest else MapPatch({}, frozenset({CMS_OPTIONS}))
            rows.append(Row("Open_vSwitch", ".", {"external_ids": patch}))
    return plan(rows, actual, owners=[gateway_owner(node)])
