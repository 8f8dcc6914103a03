# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The bridge of a NIC in Open vSwitch's database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ovn_k8s.core.database import Database
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.rows import MapPatch, Parent, Ref, Row
from ovn_k8s.host.config import INTEGRATION_BRIDGE
from ovn_k8s.host.words import in_words
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

from .errors import UplinkError
from .record import Record

TABLES = ("Open_vSwitch", "Bridge", "Port", "Interface")


def owner(nic: str) -> str:
    """Whom the rows belong to."""
    return f"uplink/{nic}"


def rows(record: Record) -> Iterator[Row]:
    """Bridge, its own interface and the NIC. Without a controller it forwards as a switch does, so that the node is
    reached whether or not any of our programs runs."""
    mine = owner(record.nic)
    columns = {
        "datapath_type": record.datapath_type,
        "fail_mode": "standalone",
        "other_config": MapPatch({"hwaddr": record.facts.mac}),
    }
    yield Row("Bridge", record.bridge, columns, mine, Parent("Open_vSwitch", ".", "bridges"))
    local = {"type": "internal", "mtu_request": record.facts.mtu}
    for name, interface in ((record.bridge, local), (record.nic, {})):
        yield Row("Interface", name, interface, mine)
        yield Row(
            "Port", name, {"interfaces": [Ref("Interface", name)]}, mine, Parent("Bridge", record.bridge, "ports")
        )


def bridge_of(actual: Database, nic: str) -> str:
    """The bridge that has this port, or an empty string."""
    port = actual.find("Port", nic)
    if port is None:
        return ""
    found = (row for row in actual.rows("Bridge") if port.uuid in row.columns["ports"])
    return next((str(row.columns["name"]) for row in found), "")


def default_datapath(actual: Database) -> str:
    """The datapath of the integration bridge, else the kernel's: patch ports connect bridges of one kind only."""
    bridge = actual.find("Bridge", INTEGRATION_BRIDGE)
    if bridge and bridge.columns["datapath_type"]:
        return str(bridge.columns["datapath_type"])
    top = next(iter(actual.rows("Open_vSwitch")), None)
    wanted = top.columns["external_ids"].get("ovn-bridge-datapath-type", "") if top else ""
    return wanted or "system"


def present(client: Client, record: Record, *, check: bool = False) -> list[str]:
    """Have the bridge; the changes in words."""

    def make(actual: Database) -> Plan:
        return plan(list(rows(record)), actual, owners=[owner(record.nic)])

    return list(in_words(client.converge(TABLES, make, check=check)))


def absent(client: Client, record: Record, *, check: bool = False) -> list[str]:
    """Have the bridge no longer, with all its ports, also those of others; the changes in words."""

    def make(actual: Database) -> Plan:
        return plan([], actual, owners=[owner(record.nic)])

    return list(in_words(client.converge(TABLES, make, check=check)))


def connect(remote: str) -> Client:
    """The database of this machine."""
    return Client(parse_remotes(remote), "Open_vSwitch")


def await_port(client: Client, name: str, there: Callable[[], bool], seconds: float) -> None:
    """Wait until ovs-vswitchd has taken an interface. Raises UplinkError with what it says."""
    deadline = time.monotonic() + seconds
    while True:
        stored = client.snapshot(["Interface"]).find("Interface", name)
        number = stored.columns["ofport"] if stored else None
        if isinstance(number, int) and number >= 0 and there():
            return
        error = str(stored.columns["error"] or "") if stored else ""
        if error or time.monotonic() > deadline:
            raise UplinkError(f"Open vSwitch cannot take {name}: {error or 'is ovs-vswitchd running?'}")
        time.sleep(0.05)
