# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The table of the packet filter that a node has for services. Packets: tests/integration/services."""

from __future__ import annotations

from ovn_k8s.host.config import parse
from ovn_k8s.host.services import chains, mark, rules

DOCUMENT = {
    "node_name": "linux1",
    "node_ip": "172.30.0.12",
    "node_subnet": "10.244.1.0/24",
    "cluster_cidr": "10.244.0.0/16",
    "service_cidr": "10.96.0.0/16",
}


def test_without_the_nodes_address_there_are_no_node_ports() -> None:
    wanted = chains(parse({key: value for key, value in DOCUMENT.items() if key != "node_ip"}), "")
    assert [chain.name for chain in wanted] == ["returning", "answering", "as_the_node"]


def test_the_table_is_replaced_in_one_step_and_each_rule_is_marked() -> None:
    wanted = tuple(chains(parse(DOCUMENT), "eth0"))
    text = rules(wanted).splitlines()
    assert text[:3] == ["add table ip ovn_k8s_node", "delete table ip ovn_k8s_node", "table ip ovn_k8s_node {"]
    marks = [mark(chain, rule) for chain in wanted for rule in chain.rules]
    assert [line.split('"')[-2] for line in text if "comment" in line] == marks
    assert len(set(marks)) == len(marks)


def test_only_an_interface_that_forwards_for_node_ports_is_guarded() -> None:
    def guards(guarded: str) -> list[str]:
        transit = next(chain for chain in chains(parse(DOCUMENT), guarded) if chain.name == "transit")
        return [rule.split('"')[1] for rule in transit.rules]

    assert guards("eth0") == ["k8s-linux1", "k8s-linux1", "eth0"]
    assert guards("") == ["k8s-linux1", "k8s-linux1"]
