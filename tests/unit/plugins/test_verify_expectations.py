# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which probes are made, and what their answers mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.expectations import (
    Node,
    Pod,
    Probe,
    Surroundings,
    judge,
    partners,
    pod_probes,
    skipped,
    source_seen,
)

PODS = [
    Pod(f"verify-{node}-{number + 1}", node, f"10.244.{place}.{3 + number}", number)
    for place, node in ((1, "linux1"), (2, "linux2"))
    for number in (0, 1)
]
NODES = [Node("master", "172.30.0.11", 1400), Node("linux1", "172.30.0.12", 1400), Node("linux2", "172.30.0.13", 1400)]


def here(**changes: Any) -> Surroundings:
    values: dict[str, Any] = {
        "pods": PODS,
        "nodes": NODES,
        "pod_port": 8080,
        "node_port": 10270,
        "node_servers": frozenset(node.name for node in NODES),
        "service_address": "10.96.0.1",
        "external_address": "198.51.100.1",
        "external_sources": ("192.0.2.2",),
    }
    return Surroundings(**{**values, **changes})


def test_every_pair_is_probed() -> None:
    probes = pod_probes(here())
    seen = [(probe.check, probe.source, probe.target) for asked in probes.values() for probe in asked]
    assert ("pod to pod, same node", "linux1 pod 1", "linux1 pod 2") in seen
    assert ("pod to pod, across nodes", "linux1 pod 1", "linux2 pod 1") in seen
    assert ("pod to pod, across nodes", "linux2 pod 1", "linux1 pod 1") in seen
    assert ("largest packet", "linux2 pod 1", "linux1 pod 1") in seen
    assert ("pod to node", "linux2 pod 1", "master") in seen
    assert ("pod to API server", "linux1 pod 1", "kubernetes service 10.96.0.1") in seen
    assert ("pod to the outside", "linux1 pod 1", "198.51.100.1:8080") in seen
    assert len(seen) == len(set(seen)) == 2 + 2 + 2 + 6 + 2 + 2


WINDOWS = [Pod(f"verify-win1-{number + 1}", "win1", f"10.244.4.{3 + number}", number, True, True) for number in (0, 1)]


def test_windows_pods_with_open_vswitch_are_asked_what_linux_pods_are() -> None:
    pods = [replace(pod, overlay=False) for pod in WINDOWS]
    probes = pod_probes(here(pods=[*PODS, *pods]))
    as_linux = [(probe.check, probe.kind) for probe in probes["verify-linux1-1"]]
    assert sorted((probe.check, probe.kind) for probe in probes["verify-win1-1"]) == sorted(as_linux)
    to_windows = [probe for probe in probes["verify-linux1-1"] if probe.target == "win1 pod 1"]
    assert all("6081" in probe.hint and "Windows" in probe.hint for probe in to_windows if probe.kind == "dialogue")
    assert skipped(here(pods=[*PODS, *pods])) == []


def test_windows_pods_are_asked_what_the_overlay_does() -> None:
    probes = pod_probes(here(pods=[*PODS, *WINDOWS]))
    asked = [(probe.check, probe.target) for probe in probes["verify-win1-1"]]
    assert asked == [
        ("pod to pod, same node", "win1 pod 2"),
        ("pod to pod, across nodes", "linux1 pod 1"),
        ("largest packet", "linux1 pod 1"),
        ("pod to pod, across nodes", "linux2 pod 1"),
        ("largest packet", "linux2 pod 1"),
        ("pod to API server", "kubernetes service 10.96.0.1"),
    ]
    to_windows = [probe for probe in probes["verify-linux1-1"] if probe.target == "win1 pod 1"]
    # A Windows node does not say what to expect: the packet has to pass the Linux pod's interface.
    assert [probe.mtu for probe in to_windows] == [None, 1400]
    assert all("4789" in probe.hint for probe in to_windows if probe.kind == "dialogue")
    assert [line.source for line in skipped(here(pods=[*PODS, *WINDOWS]))] == ["win1 pod 1"]


def test_nodes_without_a_server_and_the_outside_can_be_left_out() -> None:
    probes = pod_probes(here(node_servers=frozenset({"master"}), external_address=""))
    kinds = [(probe.check, probe.target) for probe in probes["verify-linux1-1"]]
    assert [target for check, target in kinds if check == "pod to node"] == ["master"]
    assert "pod to the outside" not in dict(kinds)
    assert skipped(here(external_address=""))[0].status == "skipped"
    assert skipped(here()) == []


def test_partners_stay_few_in_large_clusters() -> None:
    names = [f"n{number}" for number in range(20)]
    chosen = partners(names)
    assert chosen["n19"] == ["n0", "n1", "n2", "n3"]
    assert sum(map(len, chosen.values())) == 80
    assert partners(["a", "b"]) == {"a": ["b"], "b": ["a"]}


def said(protocol: str, **changes: Any) -> dict[str, Any]:
    answer = {"hostname": "verify-linux2-1", "client_ip": "10.244.1.3"}
    return {"ok": True, "protocol": protocol, "attempts": 1, "milliseconds": 1.5, "answer": {**answer, **changes}}


DIALOGUE = Probe(
    "pod to pod, across nodes",
    "a",
    "b",
    "dialogue",
    (("check", "tcp"), ("check", "udp")),
    hostname="verify-linux2-1",
    clients=("10.244.1.3",),
    hint="look here",
)


def test_a_good_dialogue() -> None:
    result = judge(DIALOGUE, [said("tcp"), {**said("udp"), "attempts": 2, "milliseconds": 4.0}])
    assert (result.status, result.detail, result.milliseconds) == ("ok", "tcp and udp (2 tries), from 10.244.1.3", 4.0)
    assert result.hint == ""


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([said("tcp"), {"ok": False, "protocol": "udp", "error": "i/o timeout"}], "udp: i/o timeout"),
        ([said("tcp", hostname="x"), said("udp")], "tcp: x answered instead of verify-linux2-1"),
        ([said("tcp", client_ip="172.30.0.12"), said("udp")], "tcp: came from 172.30.0.12, expected 10.244.1.3"),
        ([said("tcp"), None], "the probe did not run"),
        ([said("tcp")], "the probe did not run"),
    ],
)
def test_a_bad_dialogue(answers: list[Any], words: str) -> None:
    result = judge(DIALOGUE, answers)
    assert (result.status, result.detail, result.hint) == ("failed", words, "look here")


@pytest.mark.parametrize(
    ("expected", "packet", "status"), [(1400, 1400, "ok"), (1400, 1372, "failed"), (None, 1372, "ok")]
)
def test_largest_packet(expected: int | None, packet: int, status: str) -> None:
    probe = Probe("largest packet", "a", "b", "mtu", (("mtu",),), mtu=expected)
    assert judge(probe, [{"ok": True, "packet": packet}]).status == status


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ({"ok": True, "body": '{"gitVersion": "v1.37.2"}'}, "ok", "Kubernetes v1.37.2"),
        ({"ok": True, "body": "<html>"}, "failed", "what answered is not the API server"),
        ({"ok": False, "status": 401}, "failed", "HTTP status 401"),
        ({"ok": False, "error": "no route"}, "failed", "no route"),
    ],
)
def test_api_server(answer: dict[str, Any], status: str, words: str) -> None:
    result = judge(Probe("pod to API server", "a", "b", "api", (("http",),)), [answer])
    assert (result.status, result.detail) == (status, words)


@pytest.mark.parametrize(
    ("body", "sources", "status", "words"),
    [
        ('{"client_ip": "192.0.2.2"}', ("192.0.2.2",), "ok", "sees 192.0.2.2"),
        ("192.0.2.2\n", ("192.0.2.2", "192.0.2.3"), "ok", "sees 192.0.2.2"),
        ("192.0.2.9", ("192.0.2.2",), "failed", "sees 192.0.2.9, expected 192.0.2.2"),
        ("192.0.2.9", (), "ok", "sees 192.0.2.9"),
        ("hello", ("192.0.2.2",), "ok", "answered, but did not say from where it was asked"),
    ],
)
def test_outside(body: str, sources: tuple[str, ...], status: str, words: str) -> None:
    probe = Probe("pod to the outside", "a", "b", "external", (("http",),), clients=sources)
    result = judge(probe, [{"ok": True, "body": body}])
    assert (result.status, result.detail) == (status, words)


def test_source_seen_is_an_address_and_no_part_of_one() -> None:
    assert source_seen("version 1.2.3.4.5 from 192.0.2.1.") in ("192.0.2.1", "")
    assert source_seen("you are 192.0.2.1, friend") == "192.0.2.1"
