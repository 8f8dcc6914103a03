# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""CNI with containerd on the model of HNS: idempotent, crash-safe, and clear when HNS misbehaves (evidence: unit)."""

from __future__ import annotations

import json
import threading
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from model_hcn import ModelHcn

from lab.windows.hcn_model import Fault
from ovn_k8s.cni.protocol import CniError, Code, parse_request
from ovn_k8s.windows import hybrid_overlay, pod_network
from ovn_k8s.windows.config import NETWORK, NodeConfig
from ovn_k8s.windows.host_network import carry_out, read_inventory
from ovn_k8s.windows.kinds import Kind
from ovn_k8s.windows.pod_network import PodNetwork
from ovn_k8s.windows.sandboxes import Sandboxes

CONFIG = NodeConfig(
    "win1",
    IPv4Address("192.0.2.21"),
    IPv4Network("10.244.0.0/16"),
    IPv4Network("10.96.0.0/16"),
    IPv4Network("10.244.5.0/24"),
    "Ethernet",
)


class Node:
    """A node with its networks made, and a runtime that calls CNI."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = ModelHcn()
        actual = read_inventory(self.library)
        carry_out(self.library, hybrid_overlay.plan(CONFIG, (), actual), actual)
        self.start()

    def start(self) -> None:
        self.pods = PodNetwork(self.library, CONFIG, Sandboxes(self.folder), delete_seconds=0.5)

    @property
    def endpoints(self) -> dict[str, dict[str, Any]]:
        return self.library.model.state.endpoints

    @property
    def network(self) -> str:
        """The id of the pods' network."""
        return next(id_ for id_, one in self.library.model.state.networks.items() if one["Name"] == NETWORK)

    def namespace(self) -> str:
        return str(self.library.create(Kind.NAMESPACE, {"Type": "Guest"})["ID"])

    def call(
        self, command: str, container: str, netns: str = "", pod: str = "web", version: str = "1.1.0", **config: Any
    ) -> Any:
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container,
            "CNI_NETNS": netns,
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}",
        }
        stdin = json.dumps({"cniVersion": version, "name": "ovn-k8s", "type": "ovn-k8s-cni", **config})
        return self.pods.handle(parse_request(environment, stdin))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "sandboxes")


def test_add_gives_one_endpoint_and_del_takes_it(node: Node) -> None:
    namespace = node.namespace()
    dns = {"servers": ["10.96.0.10"], "searches": ["default.svc.cluster.local"], "options": ["ndots:5"]}
    result = node.call("ADD", "c1", namespace, runtimeConfig={"dns": dns})
    assert result["ips"] == [{"address": "10.244.5.3/24", "interface": 0, "gateway": "10.244.5.1"}]
    assert result["interfaces"][0]["name"] == "default_web"
    assert result["interfaces"][0]["sandbox"] == namespace
    assert result["dns"]["nameservers"] == ["10.96.0.10"]
    (endpoint,) = node.endpoints.values()
    assert endpoint["Dns"]["Search"] == ["default.svc.cluster.local"]
    assert [policy["Type"] for policy in endpoint["Policies"]][:3] == ["OutBoundNAT", "SDNRoute", "ProviderAddress"]
    assert node.call("ADD", "c1", namespace, runtimeConfig={"dns": dns}) == result
    assert node.call("CHECK", "c1", namespace, prevResult=result) is None
    assert node.call("DEL", "c1") is None
    assert node.call("DEL", "c1") is None
    assert node.endpoints == {}
    assert list(node.folder.glob("*")) == []


def test_an_older_version_of_the_result(node: Node) -> None:
    assert node.call("ADD", "c1", node.namespace(), version="0.4.0")["ips"][0]["version"] == "4"


def test_a_restarted_service_knows_its_sandboxes(node: Node) -> None:
    namespace = node.namespace()
    before = node.call("ADD", "c1", namespace)
    node.start()
    assert node.call("ADD", "c1", namespace) == before
    node.start()
    node.call("DEL", "c1")
    assert node.endpoints == {}


def test_a_new_sandbox_of_the_same_pod_replaces_the_old_one(node: Node) -> None:
    first, second = node.namespace(), node.namespace()
    node.call("ADD", "c1", first)
    node.call("ADD", "c2", second)
    assert len(node.endpoints) == 1
    node.call("DEL", "c1")
    assert len(node.endpoints) == 1
    assert node.call("CHECK", "c2", second) is None


def test_crashes_between_the_steps_leave_nothing_behind(node: Node) -> None:
    namespace = node.namespace()
    for function in ("HcnCreateEndpoint", "HcnModifyNamespace"):
        node.library.model.faults[function] = Fault(code=0x800706BA)
        with pytest.raises(CniError, match="Host Network Service does not run"):
            node.call("ADD", "c1", namespace)
        node.start()
        node.call("DEL", "c1")
        assert node.endpoints == {}
        assert list(node.folder.glob("*.json")) == []


def test_an_endpoint_lost_at_a_reboot_is_made_again(node: Node) -> None:
    node.call("ADD", "c1", node.namespace())
    node.library.model.reboot()
    actual = read_inventory(node.library)
    plan = hybrid_overlay.plan(CONFIG, (), actual)
    assert [str(action) for action in plan.actions] == ["create network OVNKubernetesHybridOverlayNetwork"]
    assert not plan.disruptive
    carry_out(node.library, plan, actual)
    namespace = node.namespace()
    assert node.call("ADD", "c1", namespace)["ips"]
    assert len(node.endpoints) == 1


def test_errors_of_callers(node: Node) -> None:
    cases = [
        ({"netns": "none"}, Code.INVALID_ENVIRONMENT, "no HCN namespace"),
        ({"netns": "container:abc"}, Code.INVALID_ENVIRONMENT, "this runtime is not supported"),
        (
            {"netns": "77777777-7777-4777-8777-777777777777"},
            Code.UNKNOWN_CONTAINER,
            "namespace 7777.* does not exist",
        ),
    ]
    for arguments, code, message in cases:
        with pytest.raises(CniError, match=message) as caught:
            node.call("ADD", "c1", **arguments)
        assert caught.value.code == code
    assert node.endpoints == {}
    with pytest.raises(CniError) as failed:
        node.call("CHECK", "c9", node.namespace())
    assert failed.value.code == Code.CHECK_FAILED


def test_check_sees_what_is_wrong(node: Node) -> None:
    namespace = node.namespace()
    node.call("ADD", "c1", namespace)
    with pytest.raises(CniError, match="not in namespace"):
        node.call("CHECK", "c1", node.namespace())
    with pytest.raises(CniError, match=r"has \['10.244.5.3'\], not \['10.244.5.9'\]"):
        node.call("CHECK", "c1", namespace, prevResult={"ips": [{"address": "10.244.5.9/24"}]})


def test_gc_keeps_what_is_valid(node: Node) -> None:
    for number in (1, 2, 3):
        node.call("ADD", f"c{number}", node.namespace(), pod=f"web{number}")
    valid = [{"containerID": "c2", "ifname": "eth0"}]
    node.call("GC", "", **{"cni.dev/valid-attachments": valid})
    assert [endpoint["Name"] for endpoint in node.endpoints.values()] == ["default_web2"]


def test_a_deletion_that_hangs_is_tried_again_later(node: Node) -> None:
    node.call("ADD", "c1", node.namespace())
    node.library.model.faults["HcnDeleteEndpoint"] = Fault(seconds=1.0)
    with pytest.raises(CniError) as caught:
        node.call("DEL", "c1")
    assert caught.value.code == Code.TRY_AGAIN_LATER
    node.call("DEL", "c1")
    assert node.endpoints == {}


def test_without_its_network_the_node_says_so(node: Node) -> None:
    node.library.model.state.networks.clear()
    node.start()
    with pytest.raises(CniError) as caught:
        node.call("STATUS", "")
    assert caught.value.code == Code.NOT_AVAILABLE
    with pytest.raises(CniError, match="the service ovn-k8s makes one"):
        node.call("ADD", "c1", node.namespace())


def test_hns_without_an_address_is_an_error_that_leaves_nothing(node: Node) -> None:
    namespace = node.namespace()
    answer = json.dumps({"ID": "88888888-8888-4888-8888-888888888888", "HostComputeNetwork": node.network})
    node.library.model.faults["HcnQueryEndpointProperties"] = Fault(answer=answer)
    with pytest.raises(CniError, match="gave endpoint default_web no address"):
        node.call("ADD", "c1", namespace)
    assert node.endpoints == {}


@pytest.mark.parametrize("answer", ["{}", "[]", "null", '{"ID": 7}', "not json", "{", '{"ID": "x", "Policies": 3}'])
def test_an_endpoint_that_hns_does_not_describe_is_not_forgotten(node: Node, answer: str) -> None:
    namespace = node.namespace()
    node.call("ADD", "c0", node.namespace(), pod="neighbour")
    kept = dict(node.endpoints)
    node.library.model.faults["HcnQueryEndpointProperties"] = Fault(answer=answer)
    with pytest.raises(CniError, match=r"ADD failed in HNS|no address"):
        node.call("ADD", "c1", namespace)
    node.start()
    node.call("DEL", "c1")
    assert node.endpoints == kept


def test_an_endpoint_that_lost_its_address_is_no_success(node: Node) -> None:
    namespace = node.namespace()
    assert node.call("ADD", "c1", namespace)["ips"]
    for endpoint in node.endpoints.values():
        endpoint["IpConfigurations"] = []
    with pytest.raises(CniError, match="gave endpoint default_web no address"):
        node.call("ADD", "c1", namespace)
    assert node.endpoints == {}
    assert node.call("ADD", "c1", namespace)["ips"]


def test_one_pod_that_hangs_holds_up_itself_only(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_network, "TURN_SECONDS", 0.2)
    namespace = node.namespace()
    node.library.model.faults["HcnCreateEndpoint"] = Fault(seconds=1.5)
    hangs = threading.Thread(target=node.call, args=("ADD", "c1", namespace))
    hangs.start()
    time.sleep(0.3)
    with pytest.raises(CniError, match="another operation on pod default_web is still running") as caught:
        node.call("ADD", "c1", namespace)
    assert caught.value.code == Code.TRY_AGAIN_LATER
    assert node.call("ADD", "c2", node.namespace(), pod="other")["ips"]
    hangs.join()
    assert node.call("CHECK", "c1", namespace) is None


def test_a_broken_record_is_no_record(node: Node) -> None:
    node.folder.joinpath("c1.json").write_text("{")
    assert node.call("DEL", "c1") is None
    assert node.call("ADD", "c1", node.namespace())["ips"]


def test_an_hns_without_the_policy_for_room_keeps_its_own_mtu(node: Node) -> None:
    assert node.call("ADD", "c1", node.namespace())
    (endpoint,) = node.endpoints.values()
    assert {"Type": "EncapOverhead", "Settings": {"Overhead": 100}} in endpoint["Policies"]
    node.call("DEL", "c1")
    node.library.model.faults["HcnCreateEndpoint"] = Fault(code=0x803B000E)
    assert node.call("ADD", "c2", node.namespace())
    (endpoint,) = node.endpoints.values()
    assert "EncapOverhead" not in [policy["Type"] for policy in endpoint["Policies"]]
    # Asked once: later pods are made without it at once.
    node.call("DEL", "c2")
    assert node.call("ADD", "c3", node.namespace())
    assert "EncapOverhead" not in [policy["Type"] for policy in next(iter(node.endpoints.values()))["Policies"]]
