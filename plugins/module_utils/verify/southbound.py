# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the OVN southbound database should say about nodes and pods."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.database import Database
from .expectations import Node, Pod
from .results import FAILED, OK, Result

TABLES = ("Chassis", "Encap", "Port_Binding")


def node_port(node: str) -> str:
    """The logical port of the node itself."""
    return f"k8s-{node}"


def check_southbound(
    database: Database, nodes: Sequence[Node], pods: Sequence[Pod], namespace: str, encapsulation: str
) -> list[Result]:
    """A line for each node and each pod."""
    chassis = {row.columns["name"]: row for row in database.rows("Chassis")}
    names = {str(row.uuid): row.columns["name"] for row in chassis.values()}
    encaps = {str(row.uuid): (row.columns["type"], row.columns["ip"]) for row in database.rows("Encap")}
    bindings = {row.columns["logical_port"]: row for row in database.rows("Port_Binding")}

    def place(port: str) -> tuple[str, bool]:
        """The chassis that a port is bound to ('' when none), and whether it is up."""
        row = bindings.get(port)
        if row is None:
            return "", False
        return str(names.get(row.columns["chassis"] or "", "")), bool(row.columns.get("up"))

    def binding_trouble(port: str, node: str) -> str:
        where, up = place(port)
        if port not in bindings:
            return f"there is no port {port}: nobody has made it"
        if where != node:
            return f"{port} is bound to {where or 'no chassis'}"
        return "" if up else f"{port} is not up"

    results = []
    for node in nodes:
        wanted = (encapsulation, node.address)
        row = chassis.get(node.name)
        tunnels = sorted(encaps[uuid] for uuid in row.columns["encaps"] if uuid in encaps) if row else []
        shown = ", ".join(f"{kind} {address}" for kind, address in tunnels)
        if row is None:
            wrong = "no chassis of that name"
        elif wanted not in tunnels:
            wrong = f"{shown or 'no tunnel'}, expected {encapsulation} {node.address}"
        else:
            wrong = binding_trouble(node_port(node.name), node.name)
        hint = f"on {node.name}: journalctl -u ovn-controller; ovs-vsctl get Open_vSwitch . external_ids"
        results.append(
            Result("chassis", node.name, "southbound database", FAILED, wrong, hint)
            if wrong
            else Result("chassis", node.name, "southbound database", OK, f"{shown}, {node_port(node.name)} is up")
        )
    # A pod of the hybrid overlay has no logical port.
    for pod in (one for one in pods if not one.overlay):
        wrong = binding_trouble(f"{namespace}_{pod.name}", pod.node)
        hint = f"on {pod.node}: journalctl -u ovn-k8s-node -u ovn-controller; on the master: -u ovn-k8s-watcher"
        results.append(
            Result("pod port", pod.label, "southbound database", FAILED, wrong, hint)
            if wrong
            else Result("pod port", pod.label, "southbound database", OK, f"up on {pod.node}")
        )
    return results
