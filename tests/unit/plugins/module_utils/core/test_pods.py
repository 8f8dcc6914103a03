# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Pods as ports."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.ipam import Lease
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.pods import (
    Pod,
    is_finished,
    pod_annotation,
    pod_from_api,
    pod_port,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.core.rows import Parent

LEASE = Lease("linux1", "u1", "10.244.1.3", "10.244.1.3/24", "10.244.1.1")


def container(**state: Any) -> dict[str, Any]:
    return {"name": "c", "state": state}


@pytest.mark.parametrize(
    ("status", "finished"),
    [
        ({}, False),
        ({"phase": "Running"}, False),
        ({"phase": "Unknown"}, False),
        ({"phase": "Succeeded"}, True),
        ({"phase": "Failed", "reason": "OutOfcpu"}, True),
        ({"phase": "Failed", "containerStatuses": [container(running={"startedAt": "x"})]}, False),
        ({"phase": "Failed", "containerStatuses": [container(terminated={}), container(running={})]}, False),
        ({"phase": "Failed", "containerStatuses": [container(terminated={}), container(waiting={})]}, True),
        ({"phase": "Failed", "initContainerStatuses": [container(running={})]}, False),
        ({"phase": "Succeeded", "ephemeralContainerStatuses": [container(running={})]}, False),
        ({"phase": "Running", "containerStatuses": [container(terminated={})]}, False),
    ],
)
def test_finished(status: dict[str, Any], finished: bool) -> None:
    assert is_finished(status) is finished


@pytest.mark.parametrize(
    ("spec", "status", "needs"),
    [
        ({}, {}, False),
        ({"nodeName": "linux1"}, {}, True),
        ({"nodeName": "linux1", "hostNetwork": True}, {}, False),
        ({"nodeName": "linux1", "hostNetwork": False}, {"phase": "Running"}, True),
        ({"nodeName": "linux1"}, {"phase": "Succeeded"}, False),
    ],
)
def test_who_needs_a_port(spec: dict[str, Any], status: dict[str, Any], needs: bool) -> None:
    document = {"metadata": {"namespace": "d", "name": "a", "uid": "u"}, "spec": spec, "status": status}
    assert pod_from_api(document).needs_port is needs


def test_reading_a_pod_keeps_what_matters_only() -> None:
    document = {
        "metadata": {
            "namespace": "d",
            "name": "a",
            "uid": "u",
            "annotations": {"ovn": "x", "other": "y"},
            "labels": {},
        },
        "spec": {"nodeName": "linux1", "containers": [{"name": "c"}]},
        "status": {"phase": "Running", "podIP": "10.244.1.3", "startTime": "now"},
    }
    assert pod_from_api(document) == Pod("d", "a", "u", "u", "linux1", address="10.244.1.3", annotation="x")


def test_the_port() -> None:
    row = pod_port(Pod("d", "a", "uid", "u1", "linux1"), LEASE)
    assert (row.table, row.name, row.owner) == ("Logical_Switch_Port", "d_a", "pod/d/a")
    assert row.parent == Parent("Logical_Switch", "linux1", "ports")
    assert row.columns == {
        "addresses": {"0a:58:0a:f4:01:03 10.244.1.3"},
        "port_security": {"0a:58:0a:f4:01:03 10.244.1.3"},
        "options": {"requested-chassis": "linux1"},
        "external_ids": {
            "namespace": "d",
            "pod": "true",
            "pod_uid": "u1",
            "ip_address": "10.244.1.3/24",
            "gateway_ip": "10.244.1.1",
            "mac_address": "0a:58:0a:f4:01:03",
        },
    }


def test_the_annotation() -> None:
    assert json.loads(pod_annotation(LEASE)) == {
        "ip_address": "10.244.1.3/24",
        "mac_address": "0a:58:0a:f4:01:03",
        "gateway_ip": "10.244.1.1",
    }


def test_a_mirror_pod_is_known_to_kubelet_by_its_manifest() -> None:
    metadata = {"namespace": "d", "name": "a", "uid": "u", "annotations": {"kubernetes.io/config.mirror": "hash"}}
    pod = pod_from_api({"metadata": metadata, "spec": {"nodeName": "linux1"}})
    assert (pod.uid, pod.sandbox_uid) == ("u", "hash")
    assert pod_port(pod, LEASE).columns["external_ids"]["pod_uid"] == "hash"
