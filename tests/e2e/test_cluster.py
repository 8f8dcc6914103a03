# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The life of a cluster on real machines, in order: blank, checked, made, verified, disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from .conftest import LAB_NAME, STATE, Lab, assert_same

NETCHECK = STATE / "images/netcheck"


def test_check_mode_changes_nothing_on_blank_machines(lab: Lab, blank: dict[str, dict[str, Any]]) -> None:
    run = lab.play("site.yml", "--check", "--diff")
    assert run.status == 0
    assert sum(host["changed"] for host in run.hosts.values()) > 0, "a dry run on blank machines announces changes"
    assert_same(blank, lab.fingerprints())


def test_site_makes_a_cluster(lab: Lab) -> None:
    run = lab.play("site.yml")
    assert run.status == 0
    nodes = json.loads(lab.kubectl("get", "nodes", "-o", "json"))["items"]
    ready = {
        node["metadata"]["name"]: [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"]
        for node in nodes
    }
    assert ready == {"linux1": ["True"], "linux2": ["True"], "win1": ["True"]}


def test_second_run_changes_nothing(lab: Lab) -> None:
    run = lab.play("site.yml")
    assert run.status == 0
    assert {name: host["changed"] for name, host in run.hosts.items()} == dict.fromkeys(run.hosts, 0)
    assert set(lab.nodes) <= set(run.hosts)


def test_verify_passes_and_leaves_nothing(lab: Lab) -> None:
    run = lab.play("verify.yml")
    assert run.status == 0
    assert "netcheck" not in lab.kubectl("get", "pods", "--all-namespaces")


def test_the_administrators_packet_filter_leaves_ours(lab: Lab) -> None:
    """The service nftables empties everybody's tables whenever it starts, reloads or ends."""
    for verb in ("start", "restart", "reload", "stop"):
        lab.on("linux1", "systemctl", verb, "nftables")
        deadline = time.monotonic() + 60
        while "ovn_k8s_node" not in lab.on("linux1", "nft", "list", "tables"):
            assert time.monotonic() < deadline, f"nothing writes our table again after {verb}"
            time.sleep(0.5)
        lab.on("linux1", "systemctl", "is-active", "ovn-k8s-overlay")  # fails unless it is, or reloads just now


def test_a_machine_has_its_place_again_when_open_vswitch_was_stopped_for_a_while(lab: Lab) -> None:
    for unit in ("openvswitch-switch", "ovs-vswitchd"):
        lab.on("linux2", "systemctl", "stop", unit)
        lab.on("linux2", "systemctl", "start", unit)
        deadline = time.monotonic() + 60
        while "ActiveState=active" not in lab.on("linux2", "systemctl", "show", "ovn-k8s-overlay"):
            assert time.monotonic() < deadline, f"ovn-k8s-overlay does not follow {unit}"
            time.sleep(0.5)
        assert "172.30.0.13" in lab.on("linux2", "ip", "-4", "address", "show", "br-phy")


def test_the_logs_are_rotated_by_one_rule_each(lab: Lab) -> None:
    for node, log in (("master", "ovn-k8s-watcher"), ("gw", "ovn-k8s-gateway-helper")):
        said = lab.on(node, "logrotate --debug /etc/logrotate.conf 2>&1")
        assert f"considering log /var/log/openvswitch/{log}.log" in said
        assert "error:" not in said


def pod_manifest(name: str, node: str) -> dict[str, Any]:
    container = {"name": "c", "image": "localhost/netcheck:1", "imagePullPolicy": "IfNotPresent", "args": ["serve"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"test": "watcher"}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def create_pods(lab: Lab, names: list[str]) -> None:
    pods = [pod_manifest(name, f"linux{1 + index % 2}") for index, name in enumerate(names)]
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))


def wait_ready(lab: Lab, count: int, seconds: float) -> list[dict[str, Any]]:
    deadline = time.monotonic() + seconds
    while True:
        pods = json.loads(lab.kubectl("get", "pods", "-l", "test=watcher", "-o", "json"))["items"]
        ready = [
            pod
            for pod in pods
            if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
        ]
        if len(ready) == count:
            return ready
        assert time.monotonic() < deadline, f"{len(ready)} of {count} pods are ready after {seconds:g} s"
        time.sleep(1)


def logical_ports(lab: Lab) -> list[str]:
    listing = lab.on(
        "master", "ovn-nbctl", "--bare", "--columns=name", "find", "Logical_Switch_Port", "external_ids:pod=true"
    )
    return sorted(listing.split())


def kill_watcher(lab: Lab) -> None:
    lab.on("master", "systemctl", "kill", "--signal=KILL", "ovn-k8s-watcher.service")


def test_watcher_killed_between_pods_and_during_a_burst_loses_nothing(lab: Lab) -> None:
    names = ["before"]
    create_pods(lab, names)
    wait_ready(lab, 1, 60)
    kill_watcher(lab)
    names.append("after")
    create_pods(lab, ["after"])
    wait_ready(lab, 2, 60)
    burst = [f"burst{number}" for number in range(50)]
    names += burst
    create_pods(lab, burst)
    kill_watcher(lab)
    pods = wait_ready(lab, len(names), 180)
    addresses = Counter(pod["status"]["podIP"] for pod in pods)
    assert max(addresses.values()) == 1, "no address twice"
    assert logical_ports(lab) == sorted(f"default_{name}" for name in names)
    lab.kubectl("delete", "pods", "-l", "test=watcher", "--wait=true", "--grace-period=0", seconds=180)
    deadline = time.monotonic() + 30
    while logical_ports(lab):
        assert time.monotonic() < deadline, "ports of deleted pods stay"
        time.sleep(0.5)


def test_a_worker_comes_back_from_a_reboot_by_itself(lab: Lab) -> None:
    assert lab.command("reboot", "linux1", seconds=180).returncode == 0
    create_pods(lab, ["reboot0", "reboot1"])
    wait_ready(lab, 2, 120)
    lab.kubectl("delete", "pods", "-l", "test=watcher", "--wait=true", "--grace-period=0", seconds=120)


def talk(lab: Lab, source: str, address: str) -> dict[str, Any]:
    """What a server at an address says to a pod, over TCP and UDP."""
    seen = {}
    for protocol in ("tcp", "udp"):
        words = ("exec", source, "--", "netcheck", "check", protocol, address, "8080", "--attempts", "4")
        seen[protocol] = json.loads(lab.kubectl(*words))["answer"]
    assert seen["tcp"]["hostname"] == seen["udp"]["hostname"]
    return dict(seen["tcp"])


def statuses(pods: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {pod["metadata"]["name"]: pod["status"] for pod in pods}


def statuses_of(lab: Lab) -> dict[str, dict[str, Any]]:
    """The tests' pods as they are now."""
    return statuses(json.loads(lab.kubectl("get", "pods", "-l", "test=watcher", "-o", "json"))["items"])


def test_windows_pods_join_the_same_network_and_come_back(lab: Lab) -> None:
    pods = [pod_manifest("near", "linux1"), pod_manifest("wina", "win1"), pod_manifest("winb", "win1")]
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    address = {name: status["podIP"] for name, status in statuses(wait_ready(lab, 3, 90)).items()}
    for source, target in (("near", "wina"), ("wina", "near"), ("wina", "winb")):
        answer = talk(lab, source, address[target])
        assert (answer["hostname"], answer["client_ip"]) == (target, address[source])

    # A reboot takes the overlay network with it; nobody runs a playbook.
    assert lab.command("reboot", "win1", seconds=300).returncode == 0
    deadline = time.monotonic() + 120
    while True:
        found = statuses_of(lab)
        containers = [found[name]["containerStatuses"][0] for name in ("wina", "winb")]
        if all(container["ready"] and container["restartCount"] for container in containers):
            break
        assert time.monotonic() < deadline, found
        time.sleep(1)
    answer = talk(lab, "near", found["wina"]["podIP"])
    assert (answer["hostname"], answer["client_ip"]) == ("wina", address["near"])

    lab.kubectl("delete", "pods", "-l", "test=watcher", "--wait=true", "--grace-period=0", seconds=120)


def windows_pod_of_several(name: str) -> dict[str, Any]:
    """A pod of three containers, each a server at a port of its own."""
    pod = pod_manifest(name, "win1")
    image = pod["spec"]["containers"][0]
    pod["spec"]["containers"] = [
        {**image, "name": f"c{port}", "args": ["serve", "--port", str(port)]} for port in (8080, 8081, 8082)
    ]
    return pod


def asked(lab: Lab, source: str, address: str, port: int) -> dict[str, Any]:
    """What a server says to a pod over TCP."""
    words = ("exec", source, "--", "netcheck", "check", "tcp", address, str(port), "--attempts", "5")
    return dict(json.loads(lab.kubectl(*words))["answer"])


def compartment_of(address: str) -> str:
    """The namespace of this host that is the compartment of a pod on win1."""
    for compartment in Path("/run/netns").glob(f"{LAB_NAME}-win1-c*"):
        show = ["ip", "-n", compartment.name, "-o", "-4", "address", "show"]
        if f" {address}/" in subprocess.run(show, capture_output=True, text=True, check=False).stdout:
            return compartment.name
    raise AssertionError(f"no compartment has {address}")


def end_a_server(address: str, port: int) -> None:
    """Kill a container's server on win1: there a container is a process of this host, in the compartment of its pod."""
    show = ["ip", "netns", "pids", compartment_of(address)]
    for process in subprocess.run(show, capture_output=True, text=True, check=True).stdout.split():
        words = Path("/proc", process, "cmdline").read_text().split("\0")
        if words[0].endswith("/netcheck") and words[1:4] == ["serve", "--port", str(port)]:
            os.kill(int(process), signal.SIGKILL)
            return
    raise AssertionError(f"no server at {address}:{port}")


def test_containers_of_a_windows_pod_share_one_address_and_services_reach_them(lab: Lab) -> None:
    pods = [pod_manifest("near", "linux1"), pod_manifest("wina", "win1"), windows_pod_of_several("three")]
    for pod in pods[1:]:
        pod["metadata"]["labels"]["service"] = "win"
    ports = [{"name": "a", "port": 80, "targetPort": 8080}]
    spec = {"selector": {"service": "win"}, "ports": ports}
    metadata = {"name": "win", "labels": {"test": "watcher"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [*pods, service]}))
    address = {name: status["podIP"] for name, status in statuses(wait_ready(lab, 3, 90)).items()}
    vip = lab.kubectl("get", "service", "win", "-o", "jsonpath={.spec.clusterIP}")
    for port in (8080, 8081, 8082):
        assert asked(lab, "three", "localhost", port)["hostname"] == "three"
        assert asked(lab, "near", address["three"], port)["hostname"] == "three"
    # kube-proxy on win1, OVN on linux1: both backends answer, the pod that asks among them.
    for source in ("wina", "near"):
        seen: set[str] = set()
        for _ in range(30):
            seen.add(asked(lab, source, vip, 80)["hostname"])
            if len(seen) == 2:
                break
        assert seen == {"wina", "three"}

    end_a_server(address["three"], 8081)
    assert asked(lab, "near", address["three"], 8080)["hostname"] == "three", "the port stays"
    deadline = time.monotonic() + 60
    while True:
        status = json.loads(lab.kubectl("get", "pod", "three", "-o", "json"))["status"]
        if [one["restartCount"] for one in status["containerStatuses"]] == [0, 1, 0]:
            break
        assert time.monotonic() < deadline, status
        time.sleep(1)
    assert status["podIP"] == address["three"]
    for port in (8080, 8081, 8082):
        assert asked(lab, "three", "localhost", port)["hostname"] == "three"

    lab.kubectl("delete", "service", "win")
    lab.kubectl("delete", "pods", "-l", "test=watcher", "--wait=true", "--grace-period=0", seconds=120)


def test_nothing_is_torn_down_while_the_api_server_is_away(lab: Lab) -> None:
    """Away for OVN_K8S_TEST_AWAY_SECONDS, less than a cluster waits before it gives up pods of a silent node."""
    pods = [pod_manifest("near", "linux1"), pod_manifest("wina", "win1"), pod_manifest("winb", "win1")]
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    before = statuses(wait_ready(lab, 3, 90))
    compartment = compartment_of(before["wina"]["podIP"])
    lab.on("master", "systemctl", "stop", "kube-apiserver.service")
    try:
        ask = ["ip", "netns", "exec", compartment, str(NETCHECK), "check", "tcp", before["near"]["podIP"], "8080"]
        end = time.monotonic() + float(os.environ.get("OVN_K8S_TEST_AWAY_SECONDS", "45"))
        while time.monotonic() < end:
            done = subprocess.run(ask, capture_output=True, text=True, check=False)
            assert json.loads(done.stdout)["answer"]["hostname"] == "near", done.stdout + done.stderr
            time.sleep(5)
        assert compartment_of(before["winb"]["podIP"])
    finally:
        lab.on("master", "systemctl", "start", "kube-apiserver.service")
    lab.command("exec", "kubectl", "wait", "--for=condition=Ready", "node/win1", "--timeout=60s", seconds=90)
    after = statuses(wait_ready(lab, 3, 90))
    for name, status in before.items():
        assert (after[name]["podIP"], after[name]["startTime"]) == (status["podIP"], status["startTime"])
        assert after[name]["containerStatuses"][0]["restartCount"] == 0
    lab.kubectl("delete", "pods", "-l", "test=watcher", "--wait=true", "--grace-period=0", seconds=120)


def test_docker_does_the_same(lab: Lab) -> None:
    assert lab.command("datapath", "hybrid_overlay").returncode == 0
    assert lab.play("reset.yml", "--limit", "win1", "-e", "reset_confirm=yes").status == 0
    docker = ("-e", "windows_runtime=docker")
    assert lab.play("site.yml", "--limit", "win1", *docker).status == 0
    again = lab.play("site.yml", "--limit", "win1,linux2", *docker)
    assert again.status == 0, "some nodes can be run without the others"
    assert {name: again.hosts[name]["changed"] for name in ("win1", "linux2")} == {"win1": 0, "linux2": 0}
    node = json.loads(lab.kubectl("get", "node", "win1", "-o", "json"))
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")
    test_containers_of_a_windows_pod_share_one_address_and_services_reach_them(lab)


def test_the_other_datapath_takes_a_reset_first_and_docker_goes_with_it(lab: Lab) -> None:
    """From the hybrid overlay to Open vSwitch."""
    docker = ("-e", "windows_runtime=docker")
    assert lab.command("datapath", "ovs", seconds=60).returncode == 0
    refused = lab.play("site.yml", "--limit", "win1", *docker)
    assert refused.status != 0
    assert "is a node with windows_datapath: hybrid_overlay" in refused.output
    assert lab.play("reset.yml", "--limit", "win1", "-e", "reset_confirm=yes").status == 0
    assert lab.play("site.yml", "--limit", "win1", *docker).status == 0
    node = json.loads(lab.kubectl("get", "node", "win1", "-o", "json"))
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("docker://")
    test_containers_of_a_windows_pod_share_one_address_and_services_reach_them(lab)


def test_open_vswitch_does_more_for_windows_pods(lab: Lab) -> None:
    """OVN's addresses, ports, services and gateways."""
    assert lab.command("datapath", "ovs", seconds=60).returncode == 0
    assert lab.play("reset.yml", "--limit", "win1", "-e", "reset_confirm=yes").status == 0
    assert lab.play("site.yml", "--limit", "win1").status == 0

    run = lab.play("verify.yml")
    assert run.status == 0
    rows = [line.split() for line in run.output.splitlines() if "win1 pod" in line]
    assert len(rows) > 20
    assert "skipped" not in {word for row in rows for word in row}

    pods = [pod_manifest("near", "linux1"), pod_manifest("wina", "win1")]
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    before = statuses(wait_ready(lab, 2, 90))
    assert {"default_near", "default_wina"} <= set(logical_ports(lab))
    assert lab.command("reboot", "win1", seconds=300).returncode == 0
    deadline = time.monotonic() + 120
    while not (now := statuses_of(lab)["wina"]["containerStatuses"][0])["ready"] or not now["restartCount"]:
        assert time.monotonic() < deadline, now
        time.sleep(1)
    # Open vSwitch and the network come back while nobody runs a playbook, and the pod has its address still.
    assert statuses_of(lab)["wina"]["podIP"] == before["wina"]["podIP"]
    assert talk(lab, "near", before["wina"]["podIP"])["client_ip"] == before["near"]["podIP"]
    assert talk(lab, "wina", before["near"]["podIP"])["client_ip"] == before["wina"]["podIP"]
    lab.kubectl("delete", "pods", "-l", "test=watcher", "--wait=true", "--grace-period=0", seconds=120)
