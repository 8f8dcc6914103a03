# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The pods that a verification starts."""

from __future__ import annotations

from ansible_collections.ovn_k8s.cluster.plugins.module_utils.verify.cluster_pods import Workers, manifests

REFUSED_ON_WINDOWS = {"runAsUser", "runAsGroup", "seccompProfile", "capabilities", "readOnlyRootFilesystem"}


def test_two_pods_on_every_worker_of_both_kinds() -> None:
    made = manifests("ns", Workers(["linux1"], "for/linux", ["win1"], "for/windows"), 8080)
    pods = {item["metadata"]["name"]: item["spec"] for item in made if item["kind"] == "Pod"}
    assert list(pods) == ["verify-linux1-1", "verify-linux1-2", "verify-win1-1", "verify-win1-2"]
    assert pods["verify-win1-2"]["nodeSelector"] == {"kubernetes.io/hostname": "win1"}
    assert pods["verify-win1-1"]["os"] == {"name": "windows"}
    assert pods["verify-win1-1"]["containers"][0]["image"] == "for/windows"
    assert pods["verify-linux1-1"]["containers"][0]["image"] == "for/linux"
    # The API server refuses these in a pod for Windows, and wants runAsNonRoot where the namespace is restricted.
    assert set(pods["verify-win1-1"]["securityContext"]) == {"runAsNonRoot"}
    assert "securityContext" not in pods["verify-win1-1"]["containers"][0]
    assert set(pods["verify-linux1-1"]["securityContext"]) & REFUSED_ON_WINDOWS
