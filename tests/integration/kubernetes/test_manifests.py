# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""kubernetes_manifests with a real API server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from module_runner import ModuleFailed, run_module

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "watcher"))

from control_plane import ControlPlane, find_programs

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "manifests"}}


def settings(value: str) -> dict[str, Any]:
    metadata = {"name": "settings", "namespace": "manifests"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    programs = find_programs()
    if programs is None or not (programs / "kubectl").exists():
        pytest.skip("no kube-apiserver, etcd and kubectl: name their folder in OVN_K8S_KUBE_BIN or `make lab-binaries`")
    plane = ControlPlane(programs, tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start()
        yield {"kubectl": str(programs / "kubectl"), "kubeconfig": str(plane.kubeconfig("admin")), "wait_ready": 30}
    finally:
        plane.stop()


def test_objects_are_made_compared_and_changed(options: dict[str, Any]) -> None:
    first = [NAMESPACE, settings("a")]
    checked = run_module("kubernetes_manifests", check=True, definitions=first, **options)
    assert checked["applied"] == ["Namespace/manifests", "ConfigMap/manifests/settings"]
    assert run_module("kubernetes_manifests", definitions=first, **options)["changed"]
    assert not run_module("kubernetes_manifests", definitions=first, **options)["changed"]

    second = [NAMESPACE, settings("b")]
    checked = run_module("kubernetes_manifests", check=True, definitions=second, **options)
    assert "-  key: a\n+  key: b\n" in checked["diff"]["prepared"]
    assert not run_module("kubernetes_manifests", definitions=first, **options)["changed"]
    assert run_module("kubernetes_manifests", definitions=second, **options)["changed"]


def test_a_refusal_names_the_object_and_the_reason(options: dict[str, Any]) -> None:
    wrong = {**NAMESPACE, "metadata": {"name": "Not A Name"}}
    with pytest.raises(ModuleFailed, match=r"(?s)refused Namespace/Not A Name: .*RFC 1123"):
        run_module("kubernetes_manifests", definitions=[wrong], **options)


def test_without_an_api_server(tmp_path: Path, options: dict[str, Any]) -> None:
    nowhere = {"kubectl": options["kubectl"], "kubeconfig": str(tmp_path / "absent")}
    assert run_module("kubernetes_manifests", check=True, definitions=[NAMESPACE], **nowhere)["changed"]
    with pytest.raises(ModuleFailed, match="are needed on this machine"):
        run_module("kubernetes_manifests", definitions=[NAMESPACE], **nowhere)
