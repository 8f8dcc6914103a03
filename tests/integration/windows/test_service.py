# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The service under the service control manager, its named pipe, and the CNI executable.

Evidence: Wine. The service, the pipe and the executable are real; HNS is a model.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from windows_machine import HANDLES, TURNS, ApiServer, Windows, certificates

from lab.windows.hcn_model import Fault

AWAY_SECONDS = float(os.environ.get("OVN_K8S_TEST_AWAY_SECONDS", "3"))
"""How long the API server is away."""
CNI = r"C:\Program Files\ovn-k8s\bin\ovn-k8s-cni.exe"
CONFIG = """
node_name = "win1"
node_address = "192.0.2.21"
cluster_cidr = "10.244.0.0/16"
service_cidr = "10.96.0.0/16"
node_subnet = "10.244.5.0/24"
adapter = "Ethernet"
"""
NETWORKS = ["BaseOVNKubernetesHybridOverlayNetwork", "OVNKubernetesHybridOverlayNetwork"]


class Node:
    """The machine with the service on it."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.data = windows.machine.path(r"C:\ProgramData\ovn-k8s")

    def use(self, server: ApiServer, keys: Path) -> None:
        """Configure an API server, and the keys and certificates in a folder of this host."""
        here = "Z:" + str(keys).replace("/", "\\")
        files = {"ca_certificate": "ca.crt", "certificate": "client.crt", "private_key": "client.key"}
        lines = [f"{key} = '{here}\\{name}'" for key, name in files.items()]
        text = "\n".join([CONFIG, "[kubernetes]", f'server = "{server.address}"', *lines, ""])
        (self.data / "node.toml").write_text(text)

    def control(self, *arguments: str) -> None:
        done = self.windows.machine.python("-m", "ovn_k8s.windows.service", *arguments)
        assert done.returncode == 0, done.stderr

    def sc(self, verb: str) -> str:
        return self.windows.machine.run("sc", verb, "ovn-k8s", seconds=180).stdout

    def wait(self, what: str, condition: Callable[[], bool], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}\n{self.sc('query')}\n{self.log()}"
            time.sleep(0.1)

    @property
    def endpoints(self) -> list[dict[str, Any]]:
        """Those of pods."""
        found = list(self.windows.model.state.endpoints.values())
        return [one for one in found if one["Name"] != "ovn-k8s-source-vip"]

    def networks(self) -> list[str]:
        return sorted(str(network["Name"]) for network in self.windows.model.state.networks.values())

    def log(self) -> str:
        file = self.data / "log" / "ovn-k8s.log"
        return file.read_text() if file.exists() else ""

    def events(self) -> str:
        """What services told the event log as errors."""
        return self.windows.machine.events.read_text()

    def start(self) -> None:
        said = self.windows.start_service("ovn-k8s")
        self.wait(f"the networks are not made; sc said: {said}", lambda: self.networks() == NETWORKS)
        self.wait("CNI is not served", lambda: self.cni("STATUS", "")[0] == 0)

    def stop(self) -> None:
        self.sc("stop")
        self.wait("the service does not stop", lambda: "STOPPED" in self.sc("query"))

    def namespace(self) -> str:
        code, handle, _, record = self.windows.model.call("HcnCreateNamespace", "", 0, '{"Type": "Guest"}')
        assert code == 0, record
        return self.windows.model.handles.pop(handle)[1]

    def cni(self, command: str, container: str, netns: str = "", pod: str = "web", **config: Any) -> tuple[int, Any]:
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": "eth0",
            "CNI_PATH": r"C:\opt\cni\bin",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}",
        }
        stdin = json.dumps({"cniVersion": "1.1.0", "name": "ovn-k8s", "type": "ovn-k8s-cni", **config})
        done = self.windows.machine.run(CNI, stdin=stdin, environment=environment)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture
def node(windows: Windows) -> Iterator[Node]:
    made = Node(windows)
    made.data.mkdir(parents=True, exist_ok=True)
    (made.data / "node.toml").write_text(CONFIG)
    made.control("install")
    try:
        yield made
    finally:
        made.sc("stop")
        made.control("remove")
        for record in (made.data / "sandboxes").glob("*.json"):
            record.unlink()


def test_a_pods_life_through_the_executable(node: Node) -> None:
    code, reply = node.cni("ADD", "c1", node.namespace())
    assert (code, reply["code"]) == (1, 11)
    assert "does not answer" in reply["msg"]
    assert node.cni("VERSION", "")[1]["supportedVersions"][-1] == "1.1.0"

    node.start()
    namespace = node.namespace()
    dns = {"servers": ["10.96.0.10"], "searches": ["default.svc.cluster.local"]}
    code, added = node.cni("ADD", "c1", namespace, runtimeConfig={"dns": dns})
    assert code == 0, added
    assert added["ips"] == [{"address": "10.244.5.3/24", "interface": 0, "gateway": "10.244.5.1"}]
    assert added["dns"] == {"nameservers": ["10.96.0.10"], "search": ["default.svc.cluster.local"]}
    (endpoint,) = node.endpoints
    assert endpoint["HostComputeNamespace"].lower() == namespace
    assert node.cni("CHECK", "c1", namespace, prevResult=added) == (0, None)

    # The service starts again, by itself or not: pods keep what they have.
    node.stop()
    node.start()
    assert node.cni("ADD", "c1", namespace, runtimeConfig={"dns": dns}) == (0, added)
    code, failed = node.cni("ADD", "c2", "container:abc", pod="other")
    assert (code, failed["code"]) == (1, 4)
    assert node.cni("DEL", "c1") == (0, None)
    assert node.endpoints == []
    assert "started on node win1, HNS 13.2, pods in 10.244.5.0/24" in node.log()


PODS_IN_A_ROW = """
import json
import win32service
from ovn_k8s.windows.cni_shim import ask

manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
service = win32service.OpenService(manager, "ovn-k8s", win32service.SERVICE_QUERY_STATUS)
pid = win32service.QueryServiceStatusEx(service)["ProcessId"]

def call(command, turn):
    environment = {"CNI_COMMAND": command, "CNI_CONTAINERID": f"c{turn}", "CNI_NETNS": NAMESPACE, "CNI_IFNAME": "eth0",
                   "CNI_ARGS": f"K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod{turn}"}
    code, stdout = ask({"env": environment, "stdin": json.dumps({"cniVersion": "1.0.0", "name": "ovn-k8s"})})
    assert code == 0, stdout

marks = []
for turn in range(TURNS):
    call("ADD", turn)
    call("DEL", turn)
    if turn in (TURNS // 4, TURNS - 1):
        marks.append(handles(pid))
print(json.dumps(marks))
"""


def test_pods_in_a_row_leave_no_handle(node: Node) -> None:
    node.start()
    script = f"NAMESPACE, TURNS = {node.namespace()!r}, {TURNS}\n{HANDLES}{PODS_IN_A_ROW}"
    before, after = node.windows.script(script, seconds=280)
    assert after - before <= 10
    assert node.endpoints == []
    node.wait("handles stay", lambda: not node.windows.model.handles)


RECOVERY = """
import json
import win32service
from ovn_k8s.windows import service

told = []
real = win32service.ChangeServiceConfig2
def change(handle, level, value):
    told.append([level, value])
    real(handle, level, value)
win32service.ChangeServiceConfig2 = change
service.install([])
levels = [win32service.SERVICE_CONFIG_FAILURE_ACTIONS, win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG]
print(json.dumps([levels, told]))
"""


def test_recovery_is_asked_for(node: Node) -> None:
    (actions, flag), told = node.windows.script(RECOVERY)
    settings = dict(map(tuple, told))
    assert settings[actions]["Actions"] == [[1, 1_000], [1, 5_000], [1, 30_000]]
    assert settings[actions]["ResetPeriod"] == 3600
    assert settings[flag] is True


CRASH = """
import win32api, win32service

manager = win32service.OpenSCManager(None, None, win32service.SC_MANAGER_CONNECT)
service = win32service.OpenService(manager, "ovn-k8s", win32service.SERVICE_QUERY_STATUS)
pid = win32service.QueryServiceStatusEx(service)["ProcessId"]
win32api.TerminateProcess(win32api.OpenProcess(1, False, pid), 3)
print(pid)
"""


def test_a_crash_loses_nothing(node: Node) -> None:
    """Also when it comes while HNS makes an endpoint. Windows starts the service again by itself, Wine when asked."""
    node.start()
    namespace, other = node.namespace(), node.namespace()
    code, added = node.cni("ADD", "c1", namespace)
    assert code == 0, added
    node.windows.model.faults["HcnCreateEndpoint"] = Fault(seconds=3)
    answers: list[tuple[int, Any]] = []
    adding = threading.Thread(target=lambda: answers.append(node.cni("ADD", "c2", other, pod="late")))
    adding.start()
    node.wait("the second pod is not begun", (node.data / "sandboxes" / "c2.json").exists)
    process = node.windows.script(CRASH)
    adding.join(60)
    ((code, failed),) = answers
    assert (code, failed["code"]) == (1, 11), failed
    assert "does not answer" in failed["msg"]
    node.wait("HNS does not end what it began", lambda: len(node.endpoints) == 2)
    assert node.networks() == NETWORKS

    node.start()
    assert node.windows.script(CRASH.replace("win32api.TerminateProcess", "# ")) != process
    assert node.cni("ADD", "c1", namespace) == (0, added)
    assert node.cni("CHECK", "c1", namespace, prevResult=added) == (0, None)
    assert node.cni("DEL", "c2") == (0, None)
    assert [one["Name"] for one in node.endpoints] == ["default_web"]
    assert node.cni("DEL", "c1") == (0, None)
    assert node.endpoints == []


def test_a_restart_of_the_machine_brings_the_networks_back(node: Node) -> None:
    node.start()
    node.windows.machine.stop()
    node.windows.model.reboot()
    assert node.networks() == NETWORKS[:1]
    node.windows.machine.start()
    node.wait("the networks do not come back", lambda: node.networks() == NETWORKS)
    node.wait("CNI is not served", lambda: node.cni("STATUS", "")[0] == 0)
    assert node.cni("ADD", "c1", node.namespace())[0] == 0


def kubernetes_node(name: str, subnet: str, address: str, mac: str) -> dict[str, Any]:
    annotations = {
        "k8s.ovn.org/hybrid-overlay-node-subnet": subnet,
        "k8s.ovn.org/hybrid-overlay-distributed-router-gateway-mac": mac,
    }
    addresses = [{"type": "InternalIP", "address": address}]
    return {"metadata": {"name": name, "annotations": annotations}, "status": {"addresses": addresses}}


@pytest.mark.timeout(AWAY_SECONDS + 300)
def test_routes_follow_the_cluster_over_tls(node: Node, tmp_path: Path) -> None:
    certificates(tmp_path)
    server = ApiServer(tmp_path)
    node.use(server, tmp_path)
    server.put(kubernetes_node("win1", "10.244.5.0/24", "192.0.2.21", ""))
    server.put(kubernetes_node("linux1", "10.244.1.0/24", "192.0.2.12", "0a:58:0a:f4:01:03"))

    def routes() -> list[str]:
        return sorted(
            str(policy["Settings"]["ProviderAddress"])
            for network in list(node.windows.model.state.networks.values())
            for policy in network["Policies"]
            if policy["Type"] == "RemoteSubnetRoute"
        )

    node.start()
    node.wait("no route", lambda: routes() == ["192.0.2.12"])
    node.wait("no announcement", lambda: len(server.patches) == 1)
    server.put(kubernetes_node("linux2", "10.244.2.0/24", "192.0.2.13", "0a:58:0a:f4:02:03"), "ADDED")
    node.wait("no second route", lambda: routes() == ["192.0.2.12", "192.0.2.13"])
    server.refuse = 503
    server.cut()
    time.sleep(AWAY_SECONDS)
    assert routes() == ["192.0.2.12", "192.0.2.13"]
    node.stop()
    server.cut()
    server.shutdown()
    server.server_close()


def test_what_is_wrong_with_one_does_not_touch_the_others(node: Node, tmp_path: Path) -> None:
    """Certificates of another authority, and an HNS that gives nonsense or no address."""
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        certificates(folder)
    server = ApiServer(tmp_path)
    node.use(server, tmp_path / "other")
    node.start()
    node.wait("nobody minds the certificate", lambda: "CERTIFICATE_VERIFY_FAILED" in node.log())
    assert server.patches == []
    first = node.namespace()
    code, kept = node.cni("ADD", "c0", first, pod="kept")
    assert code == 0, kept

    network = node.endpoints[0]["HostComputeNetwork"]
    without = json.dumps({"ID": "88888888-8888-4888-8888-888888888888", "HostComputeNetwork": network})
    for answer, said in ((without, "no address"), ("<html>", "gave no JSON"), ("{}", "is None, not a text")):
        node.windows.model.faults["HcnQueryEndpointProperties"] = Fault(answer=answer)
        code, failed = node.cni("ADD", "c1", node.namespace())
        assert code == 1
        assert said in failed["msg"] + failed.get("details", ""), failed
        assert node.cni("DEL", "c1") == (0, None)
        assert [one["Name"] for one in node.endpoints] == ["default_kept"]
    assert node.cni("CHECK", "c0", first, prevResult=kept) == (0, None)
    node.wait("handles stay", lambda: not node.windows.model.handles)
    # What a pod's owner is told is no matter of the event log.
    assert "failed: code" in node.log()
    assert "failed: code" not in node.events()
    server.shutdown()
    server.server_close()


def test_a_wrong_configuration_is_said_and_ends_the_service(node: Node) -> None:
    (node.data / "node.toml").write_text(CONFIG.replace("10.244.5.0/24", "10.99.5.0/24"))
    node.sc("start")
    node.wait("the service does not give up", lambda: "STOPPED" in node.sc("query"))
    problem = "node_subnet 10.99.5.0/24 is not in cluster_cidr 10.244.0.0/16"
    assert problem in node.log()
    assert problem in node.events()
    assert node.networks() == []
