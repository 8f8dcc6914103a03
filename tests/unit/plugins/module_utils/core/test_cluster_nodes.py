# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What is read of a Kubernetes node."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.nodes import node_from_api


def document(addresses: list[tuple[str, str]], **metadata: Any) -> dict[str, Any]:
    listed = [{"type": kind, "address": address} for kind, address in addresses]
    return {"metadata": {"name": "linux1", "uid": "u", **metadata}, "status": {"addresses": listed}}


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([], None),
        ([("Hostname", "linux1")], None),
        ([("ExternalIP", "192.0.2.9"), ("InternalIP", "172.30.0.12")], "172.30.0.12"),
        ([("InternalIP", "fd00::12"), ("InternalIP", "172.30.0.12")], "172.30.0.12"),
        ([("InternalIP", "fd00::12")], None),
    ],
)
def test_the_address_is_the_first_internal_ipv4_one(addresses: list[tuple[str, str]], expected: str | None) -> None:
    node = node_from_api(document(addresses))
    assert node.address == (IPv4Address(expected) if expected else None)


def test_what_kubelet_reports_every_minute_is_no_change() -> None:
    first = document([("InternalIP", "172.30.0.12")], resourceVersion="1", annotations={"other": "1"})
    second = document([("InternalIP", "172.30.0.12")], resourceVersion="2", annotations={"other": "2"})
    second["status"]["conditions"] = [{"type": "Ready"}]
    assert node_from_api(first) == node_from_api(second)


def test_windows_and_annotations_of_hybrid_overlay() -> None:
    annotations = {"k8s.ovn.org/hybrid-overlay-node-subnet": "10.244.7.0/24", "other": "x"}
    node = node_from_api(document([], labels={"kubernetes.io/os": "windows"}, annotations=annotations))
    assert node.windows
    assert node.annotations == {"k8s.ovn.org/hybrid-overlay-node-subnet": "10.244.7.0/24"}


def test_a_node_that_has_reported_nothing_yet() -> None:
    assert node_from_api({"metadata": {"name": "new"}}).address is None
