# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Nothing that the role grants the watcher is too much: with each permission taken away in turn, something fails."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import pytest
import yaml
from control_plane import RBAC, ControlPlane, slice_document
from watcher_world import World, annotation

from ovn_k8s.core.pods import pod_from_api
from ovn_k8s.core.policy_rows import policy_group
from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import ApiRefused
from ovn_k8s.kubernetes.informer import Informer
from ovn_k8s.watcher import events, pods
from ovn_k8s.watcher.leadership import LEASE
from ovn_k8s.watcher.workqueue import Key

API = "/apis/rbac.authorization.k8s.io/v1"
SUBNET = "k8s.ovn.org/hybrid-overlay-node-subnet"
PATIENCE_S = 6.0


class Permission(NamedTuple):
    """A verb on a resource, in a document of the role's manifest."""

    kind: str
    rule: int
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb}-{self.resource}-{self.rule}"


def granted() -> Iterator[Permission]:
    """Everything that the manifest grants."""
    for document in documents():
        for number, rule in enumerate(document.get("rules") or ()):
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Permission(document["kind"], number, resource, verb)


def documents() -> Iterator[dict[str, Any]]:
    """The manifest."""
    text = "\n".join(line for line in RBAC.read_text().splitlines() if not line.startswith("{#"))
    yield from yaml.safe_load_all(text)


@contextlib.contextmanager
def without(plane: ControlPlane, permission: Permission) -> Iterator[None]:
    """The role as granted, but for one permission."""
    document = next(one for one in documents() if one["kind"] == permission.kind)
    namespace = document["metadata"].get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    path = f"{API}{scope}/{permission.kind.lower()}s/{document['metadata']['name']}"
    less = copy.deepcopy(document["rules"])
    rule = less.pop(permission.rule)
    rest = {
        "resources": [one for one in rule["resources"] if one != permission.resource],
        "verbs": [one for one in rule["verbs"] if one != permission.verb],
    }
    less += [{**rule, key: value} for key, value in rest.items() if value]
    plane.api.merge_patch(path, {"rules": less})
    time.sleep(0.3)  # until the API server's own cache has it
    try:
        yield
    finally:
        plane.api.merge_patch(path, {"rules": document["rules"]})
        time.sleep(0.3)


@dataclass
class Step:
    """One thing that works: what is looked at, by a deadline of its own."""

    what: str
    done: Callable[[], object]


def everything_works(world: World) -> None:
    """All that the watcher does with the API, on objects that come before it and on ones that come after."""
    objects, api = world.objects, world.plane.api
    name = objects.namespace
    before = objects.service("before", [{"port": 80}])
    world.watcher.start(ready=False)
    check(Step("the watcher is ready", lambda: world.watcher.get("/readyz")[0] == 200))
    check(Step("it leads", lambda: world.watcher.metric("ovn_k8s_watcher_leader") == 1))
    check(Step("a service that was there", lambda: f"{before}:80" in vips(world, "before")))
    windows = {"metadata": {"name": name, "labels": {"kubernetes.io/os": "windows"}}}
    api.create("/api/v1/nodes", windows)
    status = {"addresses": [{"type": "InternalIP", "address": "172.30.0.99"}]}
    try:
        api.merge_patch(f"/api/v1/nodes/{name}/status", {"status": status})
        api.merge_patch(f"/api/v1/namespaces/{name}", {"metadata": {"labels": {"tier": name}}})
        after = objects.service("after", [{"port": 81}])
        document = slice_document("after-x", "after", [{"name": "", "port": 8081}], ["10.244.1.200"])
        api.create(objects.path("endpointslices"), document)
        objects.pod("wired")
        objects.pod("lost", node="nowhere")
        peers = [{"namespaceSelector": {"matchLabels": {"tier": name}}}]
        policy = {"metadata": {"name": "open"}, "spec": {"podSelector": {}, "ingress": [{"from": peers}]}}
        api.create(objects.path("networkpolicies"), policy)
        for step in (
            Step("a port", lambda: f"{name}_wired" in world.nb.ports()),
            Step("a service and its endpoints", lambda: vips(world, "after") == {f"{after}:81": "10.244.1.200:8081"}),
            Step("the annotation of the pod", lambda: annotation(world, "wired")),
            Step("an event", lambda: api.get(objects.path("events"))["items"]),
            Step("the policy and its peers by the label of their namespace", lambda: peers_of(world)),
            Step("the subnet of a node", lambda: SUBNET in node_annotations(world)),
        ):
            check(step)
    finally:
        api.delete(f"/api/v1/nodes/{name}")


def check(step: Step) -> None:
    """Wait for a step."""
    deadline = time.monotonic() + PATIENCE_S
    while not step.done():
        assert time.monotonic() < deadline, step.what
        time.sleep(0.05)


def vips(world: World, service: str) -> dict[str, str]:
    """Virtual addresses of a service's load balancer."""
    row = world.nb.balancers().get(f"service_{world.objects.namespace}_{service}_tcp")
    return dict(row.columns["vips"]) if row else {}


def peers_of(world: World) -> bool:
    """Whether the policy is there, and its peers are the pods of the namespace."""
    with world.nb.client() as client:
        database = client.snapshot(["Port_Group", "Address_Set"])
    sets = [row.columns["addresses"] for row in database.rows("Address_Set") if row.owner.startswith("peers/")]
    return database.find("Port_Group", policy_group(world.objects.namespace, "open")) is not None and all(sets)


def node_annotations(world: World) -> dict[str, str]:
    """Those of the test's node."""
    node = world.plane.api.get(f"/api/v1/nodes/{world.objects.namespace}")
    return cast("dict[str, str]", node["metadata"].get("annotations") or {})


def forget_lease(world: World, *, vacant: bool) -> None:
    """No watcher has led yet; or `vacant`: the last one has given up its Lease."""
    with contextlib.suppress(ApiRefused):
        world.plane.api.delete(LEASE.path)
    if vacant:
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1}
        world.plane.api.create(LEASE.collection, {"metadata": {"name": LEASE.name}, "spec": spec})


PERMISSIONS = [permission for permission in granted() if (permission.resource, permission.verb) != ("events", "patch")]


@pytest.mark.parametrize("vacant", [False, True])
def test_all_together_are_enough(world: World, vacant: bool) -> None:
    forget_lease(world, vacant=vacant)
    everything_works(world)


@pytest.mark.parametrize("permission", PERMISSIONS, ids=str)
def test_without_one_something_fails(world: World, permission: Permission) -> None:
    forget_lease(world, vacant=permission.verb == "update")
    with without(world.plane, permission), pytest.raises(AssertionError) as failure:
        everything_works(world)
    world.watcher.kill()
    refused = f"cannot {permission.verb} resource {permission.resource} "
    assert refused in world.watcher.log.read_text().replace('"', "").replace("\\", ""), failure.value


def test_an_event_that_is_said_again_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that takes the permission to change it. It is said again after minutes, which here are none."""
    monkeypatch.setattr(events, "AGAIN_S", 0.0)
    world.objects.pod("lost", node="nowhere")
    api = Api.from_kubeconfig(world.plane.kubeconfig("watcher"))
    informer = Informer(api, "/api/v1/pods", pod_from_api)
    informer.start()
    recorder = events.EventRecorder(api, {pods.KIND: informer}, leads=lambda: True)
    try:
        assert informer.wait_synced(10)
        recorder.start()
        key = Key(pods.KIND, world.objects.namespace, "lost")

        def count() -> int:
            recorder.tell(key, events.NO_PORT, "there is no such node")
            items = world.plane.api.get(world.objects.path("events"))["items"]
            return max((item["count"] for item in items), default=0)

        check(Step("an event", lambda: count() >= 1))
        with without(world.plane, Permission("ClusterRole", event_rule(), "events", "patch")):
            before = count()
            time.sleep(2)
            assert count() == before
        monkeypatch.setattr(events, "CHANGED_S", 0.0)
        recorder.well(key)
        check(Step("another one, counted", lambda: count() > max(before, 1)))
    finally:
        recorder.stop()
        informer.stop()


def event_rule() -> int:
    """The rule about events."""
    (document,) = [one for one in documents() if one["kind"] == "ClusterRole"]
    return next(number for number, rule in enumerate(document["rules"]) if "events" in rule["resources"])
