# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""`ovn-k8s-watcher explain` says where a pod stands, with no more rights than the watcher has."""

from __future__ import annotations

from control_plane import eventually
from watcher_world import World, annotation, wait_for


def explain(world: World, name: str) -> tuple[int, str]:
    result = world.watcher.run("explain", f"pod/{world.objects.namespace}/{name}")
    assert result.stderr == ""
    return result.returncode, result.stdout


def set_up_port(world: World, name: str, up: bool) -> None:
    """What northd does when a chassis has bound the port."""
    where = [["name", "==", f"{world.objects.namespace}_{name}"]]
    with world.nb.client() as client:
        client.transact([{"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"up": up}}])


def test_a_pod_that_is_wired_and_serves(world: World) -> None:
    world.watcher.start()
    world.objects.pod("a")
    wait_for(world, "a")
    for last in eventually():
        if annotation(world, "a"):
            break
        assert not last
    vip = world.objects.service("web", [{"port": 80}])
    world.objects.endpoint_slice("web-1", "web", [{"name": "", "port": 8080}], ["10.244.1.3"], ["10.244.1.9"])
    world.objects.service("headless", [{"port": 80}], clusterIP="None")
    world.objects.endpoint_slice("headless-1", "headless", [{"name": "", "port": 8080}], ["10.244.1.3"])
    for last in eventually():
        row = world.nb.balancers().get(f"service_{world.objects.namespace}_web_tcp")
        if row is not None and "10.244.1.3:8080" in row.columns["vips"].values():
            break
        assert not last
    status, text = explain(world, "a")
    assert status == 1
    assert "! binding: no chassis has it up. On linux1" in text
    set_up_port(world, "a", True)
    status, text = explain(world, "a")
    assert status == 0, text
    assert "\n!" not in text
    for part in (
        f"pod {world.objects.namespace}/a",
        "on node linux1, uid",
        "switch: linux1 with subnet 10.244.1.0/24, 1 of 252 pod addresses in use",
        "with 0a:58:0a:f4:01:03 10.244.1.3",
        "binding: up on linux1",
        "annotation: `ovn` says 10.244.1.3/24",
        "policies: in: no policy isolates it",
        f"service web: {vip}:80 reaches it (ready), one of 1",
        "service headless: has no cluster address",
    ):
        assert part in text, text


def test_pods_without_a_port(world: World) -> None:
    world.objects.pod("host", hostNetwork=True)
    world.objects.pod("nowhere", node="")
    world.objects.pod("lost", "linux3")
    world.objects.pod("early")
    assert "by design" in explain(world, "host")[1]
    assert "! API: no node yet" in explain(world, "nowhere")[1]
    assert "! switch: node linux3 has no logical switch" in explain(world, "lost")[1]
    status, text = explain(world, "early")
    assert status == 1
    assert "is not in OVN yet" in text
    assert "! watcher: none leads" in text
    assert "! API: there is no such pod" in explain(world, "none")[1]
    world.watcher.start()
    wait_for(world, "early")
    assert "leads, its Lease was renewed at" in explain(world, "lost")[1]


def test_what_is_wrong_is_named(world: World) -> None:
    world.watcher.start()
    world.objects.pod("a", annotations={"ovn.ovn-k8s.io/ip-address": "10.244.1.50"})
    wait_for(world, "a")
    world.objects.pod("b", annotations={"ovn.ovn-k8s.io/ip-address": "10.244.1.50"})
    name = f"{world.objects.namespace}_a"
    assert f"the pod asks for 10.244.1.50, which is that of port {name}" in explain(world, "b")[1]
    world.objects.set_status("a", podIP="10.244.1.51", podIPs=[{"ip": "10.244.1.51"}])
    world.objects.api.merge_patch(world.objects.path("pods", "a"), {"metadata": {"labels": {"app": "x"}}})
    world.objects.service("web", [{"port": 80}], selector={"app": "x"})
    world.watcher.stop()
    wrong = {"port_security": ["set", []], "addresses": "0a:58:0a:f4:01:32 10.244.1.50 10.244.1.99"}
    with world.nb.client() as client:
        where = [["name", "==", name]]
        client.transact([{"op": "update", "table": "Logical_Switch_Port", "where": where, "row": wrong}])
    status, text = explain(world, "a")
    assert status == 1
    for part in (
        "! port: its addresses are not those that the watcher writes",
        "! port: port_security differs",
        "! binding: kubelet reports 10.244.1.51, the port has 10.244.1.50",
        "! service web: its selector matches, but no EndpointSlice names 10.244.1.50",
    ):
        assert part in text, text


def test_policies_and_what_they_let_through(world: World) -> None:
    world.watcher.start()
    labels = {"app": "back"}
    spec = {"containers": [{"name": "main", "image": "example/none:1"}], "nodeName": "linux1"}
    world.objects.api.create(world.objects.path("pods"), {"metadata": {"name": "a", "labels": labels}, "spec": spec})
    wait_for(world, "a")
    front = {"podSelector": {"matchLabels": {"app": "front"}}}
    blocks = {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.7/32"]}}
    everywhere = {"namespaceSelector": {}}
    policies = {
        "web": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [front, blocks], "ports": [{"port": 80}, {"port": 90, "endPort": 99, "protocol": "UDP"}]},
                {"from": [everywhere], "ports": [{"port": "http"}]},
            ],
        },
        "others": {"podSelector": {"matchLabels": {"app": "front"}}},
    }
    for name, policy in policies.items():
        world.objects.api.create(world.objects.path("networkpolicies"), {"metadata": {"name": name}, "spec": policy})
    set_up_port(world, "a", True)
    for last in eventually():
        text = explain(world, "a")[1]
        if "policy web: out: nothing" in text:
            break
        assert not last, text
    for part in (
        "policy web: in: TCP 80, UDP 90-99 from pods with app In front of its namespace (addresses: 0) "
        "or 192.0.2.0/24 except 192.0.2.7/32",
        "policy web: in: TCP http from all pods of all namespaces (addresses: ",
    ):
        assert part in text, text
    assert "others" not in text
    assert "isolates it" not in text
    world.watcher.stop()
    label_away = {"metadata": {"labels": {"app": "front"}}}
    world.objects.api.merge_patch(world.objects.path("pods", "a"), label_away)
    status, text = explain(world, "a")
    assert status == 1
    assert "! policy others: selects it, but its port is not in group" in text
    assert f"! policies: it is still in the group of policy/{world.objects.namespace}/web" in text


def test_wrong_arguments(world: World) -> None:
    for words in (("explain",), ("explain", "pod/x"), ("explain", "service/a/b")):
        result = world.watcher.run(*words)
        assert result.returncode == 2
        assert "pod/<namespace>/<name>" in result.stderr
    world.nb.stop()
    result = world.watcher.run("explain", "pod/a/b")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
