# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Open vSwitch of a Windows node, for `windows_datapath: ovs`: its bridges and uplink, and where OVN is.

It is asked through its database on TCP loopback: `ovsdb-server` for Windows listens there (Antrea's installer sets it
up so), and no command line tool of it is needed, which WinRM sessions are known to hang in. The bridge has the name of
the virtual adapter that HNS makes, so that its local port is that adapter, which keeps the machine's address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ovn_k8s.core.database import Database, row_owner
from ovn_k8s.core.errors import PlanError
from ovn_k8s.core.plan import plan
from ovn_k8s.core.pods import OWNER_PREFIX
from ovn_k8s.core.rows import OWNER_KEY, MapPatch, Parent, Ref, Row
from ovn_k8s.core.topology import node_owner
from ovn_k8s.host.bridges import TABLES, ports_of_controller
from ovn_k8s.host.config import INTEGRATION_BRIDGE
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.errors import OvsdbError
from ovn_k8s.ovsdb.remote import parse_remotes

from .errors import MachineError
from .files import Change

DATABASE = "Open_vSwitch"
PLACE = ("ovn-remote", "ovn-encap-type", "ovn-encap-ip", "ovn-bridge")
"""Where a chassis is, in external_ids; who it is (`system-id`) stays for life."""


@dataclass(frozen=True)
class Chassis:
    """What a node's Open vSwitch has to be. The name is its `system-id`, and the common name of its certificate."""

    name: str
    address: str
    southbound: str
    uplink: str
    private_key: str
    certificate: str
    ca_certificate: str
    encapsulation: str = "geneve"

    @property
    def bridge(self) -> str:
        """The bridge with the uplink."""
        return f"vEthernet ({self.uplink})"


def rows(chassis: Chassis, actual: Database) -> Iterator[Row]:
    """The wanted rows. A bridge that somebody else has made keeps its owner."""
    owner = node_owner(chassis.name)
    place = (chassis.southbound, chassis.encapsulation, chassis.address, INTEGRATION_BRIDGE)
    identity = {"system-id": chassis.name, **dict(zip(PLACE, place, strict=True))}
    yield Row("Open_vSwitch", ".", {"external_ids": MapPatch(identity)})
    for name, mode in ((INTEGRATION_BRIDGE, "secure"), (chassis.bridge, "standalone")):
        bridge, port = actual.find("Bridge", name), actual.find("Port", name)
        parent = Parent("Open_vSwitch", ".", "bridges")
        yield Row("Bridge", name, {"fail_mode": mode}, bridge.owner if bridge else owner, parent)
        yield from _port(name, name, {"type": "internal"}, port.owner if port else owner)
    yield from _port(chassis.uplink, chassis.bridge, {}, owner)


def _port(name: str, bridge: str, interface: dict[str, Any], owner: str) -> Iterator[Row]:
    yield Row("Interface", name, interface, owner)
    yield Row("Port", name, {"interfaces": [Ref("Interface", name)]}, owner, Parent("Bridge", bridge, "ports"))


def settle(remote: str, chassis: Chassis, *, dry: bool) -> list[Change]:
    """Make it so; what that took. Raises MachineError."""
    return _carried_out(remote, chassis.name, chassis, dry=dry)


def remove(remote: str, name: str, *, dry: bool) -> list[Change]:
    """Take away what was made for the chassis of this name, and ports of pods and ovn-controller; what that took.

    Its `system-id` stays, and an integration bridge that ovn-controller has made. Raises MachineError.
    """
    return _carried_out(remote, name, None, dry=dry)


def _carried_out(remote: str, name: str, chassis: Chassis | None, *, dry: bool) -> list[Change]:
    owner = node_owner(name)

    def make(actual: Database) -> Any:
        if chassis:
            return plan(rows(chassis, actual), actual, owners=[owner])
        # With no place to go to, ovn-controller leaves OVN.
        nowhere = Row("Open_vSwitch", ".", {"external_ids": MapPatch(remove=frozenset(PLACE))})
        absent = ports_of_controller(actual)
        return plan((nowhere,), actual, owners=lambda one: one == owner or one.startswith(OWNER_PREFIX), absent=absent)

    changes = []
    try:
        with Client(parse_remotes(remote), DATABASE) as client:
            # First: with the rows ovn-controller gets to know where OVN is, and needs the keys to be let in.
            if _settle_keys(client, owner, chassis, dry=dry):
                changes.append(Change(f"Open vSwitch {remote}", "given other keys" if chassis else "without keys"))
            done = client.converge(TABLES, make, check=dry)
    except (OvsdbError, PlanError, ValueError) as error:
        raise MachineError(
            f"Open vSwitch on {remote}: {error}; is Open vSwitch for Windows installed, and does ovsdb-server listen?"
        ) from error
    if done:
        shown = [_text(done.diff()[side]) for side in ("before", "after")]
        changes.append(Change(f"Open vSwitch {remote}", "changed", *shown))
    return changes


def _settle_keys(client: Client, owner: str, chassis: Chassis | None, *, dry: bool) -> bool:
    """The one row of SSL, which has no name: replaced whole. Whether that was, or is, to do."""
    stored = client.snapshot(("Open_vSwitch", "SSL"))
    wanted: dict[str, Any] = {}
    if chassis:
        wanted |= {"private_key": chassis.private_key, "certificate": chassis.certificate}
        wanted["ca_cert"] = chassis.ca_certificate
    keys = next(iter(stored.rows("SSL")), None)
    ours = keys is not None and row_owner(keys.columns) == owner
    if chassis:
        if keys is not None and ours and all(keys.columns[name] == value for name, value in wanted.items()):
            return False
    elif not ours:
        return False
    root: dict[str, Any] = {"ssl": ["named-uuid", "keys"] if chassis else ["set", []]}
    operations: list[dict[str, Any]] = [{"op": "update", "table": "Open_vSwitch", "where": [], "row": root}]
    if chassis:
        row = wanted | {"external_ids": ["map", [[OWNER_KEY, owner]]]}
        operations.insert(0, {"op": "insert", "table": "SSL", "row": row, "uuid-name": "keys"})
    if not dry:
        # A row that nobody refers to any more is gone by itself.
        client.transact(operations)
    return True


def _text(document: Mapping[str, Any]) -> str:
    return "".join(f"{name}: {document[name]}\n" for name in sorted(document))
