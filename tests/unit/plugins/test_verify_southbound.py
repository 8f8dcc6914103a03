# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Chassis and port bindings as they are and as they should not be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.database import Database
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.schema import parse_schema
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.expectations import Node, Pod
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.southbound import check_southbound

SCHEMA = Path("/usr/share/ovn/ovn-sb.ovsschema")
NODE = Node("linux1", "172.30.0.12", 1400)
POD = Pod("verify-linux1-1", "linux1", "10.244.1.3", 0)

pytestmark = pytest.mark.skipif(not SCHEMA.exists(), reason="needs OVN's schema (package ovn-common)")


def check(
    chassis: str = "linux1",
    encap: tuple[str, str] = ("geneve", "172.30.0.12"),
    bound: str | None = "c1",
    up: bool = True,
    port: str = "k8s-linux1",
) -> list[Any]:
    database = Database(parse_schema(json.loads(SCHEMA.read_text(encoding="utf-8"))))
    database.put("Encap", "e1", {"type": encap[0], "ip": encap[1]})
    database.put("Chassis", "c1", {"name": chassis, "encaps": frozenset({"e1"})})
    for name in (port, "ns_verify-linux1-1"):
        database.put("Port_Binding", name, {"logical_port": name, "chassis": bound, "up": up})
    return check_southbound(database, [NODE], [POD], "ns", "geneve")


def test_pods_of_the_overlay_have_no_port() -> None:
    database = Database(parse_schema(json.loads(SCHEMA.read_text(encoding="utf-8"))))
    pod = Pod("verify-win1-1", "win1", "10.244.4.3", 0, True, True)
    assert check_southbound(database, [], [pod], "ns", "geneve") == []
    (missing,) = check_southbound(database, [], [replace(pod, overlay=False)], "ns", "geneve")
    assert missing.status == "failed"


def test_all_is_well() -> None:
    node, pod = check()
    assert (node.status, node.detail) == ("ok", "geneve 172.30.0.12, k8s-linux1 is up")
    assert (pod.status, pod.detail) == ("ok", "up on linux1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chassis": "other"}, "no chassis of that name"),
        ({"encap": ("geneve", "172.31.0.12")}, "geneve 172.31.0.12, expected geneve 172.30.0.12"),
        ({"encap": ("vxlan", "172.30.0.12")}, "vxlan 172.30.0.12, expected geneve 172.30.0.12"),
        ({"bound": None}, "k8s-linux1 is bound to no chassis"),
        ({"up": False}, "k8s-linux1 is not up"),
        ({"port": "k8s-else"}, "there is no port k8s-linux1: nobody has made it"),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    result = check(**changes)[0]
    assert (result.status, result.detail) == ("failed", words)
    assert "linux1" in result.hint
