# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Two writers who want the same rows at the same time, 200 times: nothing is lost, nothing is there twice."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

import pytest
from module_runner import collections_path, run_module
from northbound_values import MAC
from ovsdb_servers import Server

sys.path.insert(0, str(collections_path()))
UTILS = "ansible_collections.ovn_k8s.cluster.plugins.module_utils"

ROUNDS = 200
WRITERS = ("one", "two")


def network(writer: str, number: int) -> dict[str, Any]:
    """What a writer wants in a round: rows that both want, rows of which each wants a part, and rows of its own."""
    return {
        "switches": [{"name": "web", "external_ids": {f"{writer}{number}": "here"}}, {"name": f"s{number}"}],
        "switch_ports": [
            {"name": f"p{number}", "switch": "web", "external_ids": {writer: "here"}},
            {"name": f"{writer}{number}", "switch": f"s{number}"},
        ],
        "acls": [
            {"switch": "web", "direction": "to-lport", "priority": number, "match": "ip4", "action": "drop"},
            {"switch": "web", "direction": "to-lport", "priority": number, "match": writer, "action": "drop"},
        ],
        "static_routes": [
            {"router": "edge", "prefix": f"10.0.{number}.0/24", "nexthop": f"192.0.2.{WRITERS.index(writer) + 1}"},
            {"router": "edge", "prefix": f"10.1.{number}.0/24", "nexthop": "192.0.2.9"},
        ],
        "ha_chassis_groups": [{"name": f"g{number % 7}", "chassis": [{"chassis": "c1", "priority": number}]}],
        "static_mac_bindings": [{"logical_port": "rp", "ip": f"192.0.2.{number}", "mac": MAC}],
    }


@pytest.mark.timeout(900)
def test_two_writers(nb_server: Server) -> None:
    network_module = importlib.import_module(f"{UTILS}.northbound.network")
    client_module = importlib.import_module(f"{UTILS}.ovsdb.client")
    remotes = importlib.import_module(f"{UTILS}.ovsdb.remote").parse_remotes(nb_server.remote)
    run_module("ovn_nb", remote=nb_server.remote, owner="shop", network={"routers": [{"name": "edge"}]})
    together, failures = threading.Barrier(len(WRITERS)), []
    assert network_module.selection_for(network("one", 0), "merged")["ACL"].where, "only these rules are read"

    def write(writer: str) -> None:
        try:
            with client_module.Client(remotes, "OVN_Northbound") as client:
                for number in range(ROUNDS):
                    wanted = network(writer, number)
                    tables = network_module.selection_for(wanted, "merged")
                    together.wait(60)
                    client.converge(
                        tables, lambda actual, n=wanted: network_module.wish(n, "merged", "shop", actual).plan(actual)
                    )
        except BaseException as error:
            failures.append(error)
            together.abort()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in WRITERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures

    numbers = range(ROUNDS)
    rows = nb_server.dump()
    assert len(rows["Logical_Switch"]) == ROUNDS + 1
    assert len(rows["Logical_Switch_Port"]) == 3 * ROUNDS
    assert len(rows["ACL"]) == 3 * ROUNDS
    assert len(rows["Logical_Router_Static_Route"]) == 2 * ROUNDS, "the later next hop took the place of the other"
    assert len(rows["HA_Chassis"]) == 7
    assert len(rows["Static_MAC_Binding"]) == ROUNDS
    switches = {row["name"]: row for row in nb_server.rows("Logical_Switch")}
    here = {key for key, value in switches["web"]["external_ids"].items() if value == "here"}
    assert here == {f"{writer}{number}" for writer in WRITERS for number in numbers}
    assert len(switches["web"]["ports"]) == ROUNDS
    assert len(switches["web"]["acls"]) == 3 * ROUNDS
    ports = {row["name"]: row for row in nb_server.rows("Logical_Switch_Port")}
    for number in numbers:
        assert ports[f"p{number}"]["external_ids"] == {"one": "here", "two": "here", "ovn-k8s-owner": "shop"}
    for writer in WRITERS:
        last = network(writer, ROUNDS - 1)
        del last["static_routes"]
        again = run_module("ovn_nb", remote=nb_server.remote, owner="shop", network=last)
        assert not again["changed"], again
