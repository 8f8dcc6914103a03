# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A Windows node beside a small OVN: the service's own code on the model of HNS, and packets behind it.

Wine has no part in this; what the Windows programs do there is tested in tests/integration/windows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from small_ovn import UNDERLAY, SmallOvn, run

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit" / "windows")]

from model_hcn import ModelHcn  # noqa: E402

from lab.windows import hcn_dataplane  # noqa: E402
from lab.windows.hcn_model import Model, State  # noqa: E402
from ovn_k8s.cni.protocol import Request  # noqa: E402
from ovn_k8s.windows.agent import Agent  # noqa: E402
from ovn_k8s.windows.config import NodeConfig  # noqa: E402
from ovn_k8s.windows.hybrid_overlay import Peer  # noqa: E402
from ovn_k8s.windows.pod_network import PodNetwork  # noqa: E402
from ovn_k8s.windows.sandboxes import Sandboxes  # noqa: E402


class WindowsNode:
    """A namespace on the underlay with an emulated HNS. `router_mac` is what its service would announce."""

    def __init__(self, ovn: SmallOvn, name: str, number: int) -> None:
        self.ovn, self.name = ovn, name
        self.address = f"{UNDERLAY}.{number}"
        self.subnet = IPv4Network(f"10.244.{number}.0/24")
        self.netns = f"{ovn.prefix}-{name}"
        self.router_mac = ""
        self.peers: tuple[Peer, ...] = ()
        self.model = Model(state=State(adapters={"Ethernet": self.address}))
        self.dataplane = hcn_dataplane.Dataplane(
            lambda: self.model.state, self.netns, self.address, prefix=f"{self.netns}-c"
        )
        config = NodeConfig(
            name,
            IPv4Address(self.address),
            IPv4Network("10.244.0.0/16"),
            IPv4Network("10.96.0.0/16"),
            self.subnet,
            "Ethernet",
        )
        library = ModelHcn(self.model)
        self._agent = Agent(library, config, lambda: self.peers, self._announce)
        folder = ovn.directory / name
        self._pods = PodNetwork(library, config, Sandboxes(folder))

    def _announce(self, router_mac: str) -> None:
        self.router_mac = router_mac.replace("-", ":").lower()

    def start(self) -> None:
        """Put it on the underlay, and let its service make its networks."""
        run("ip", "netns", "add", self.netns)
        run("ip", "-n", self.netns, "link", "set", "lo", "up")
        port = f"w{self.address.rpartition('.')[2]}"
        run("ip", "link", "add", "eth0", "netns", self.netns, "mtu", "1500", "type", "veth", "peer", "name", port,
            "netns", self.ovn.underlay)  # fmt: skip
        run("ip", "-n", self.ovn.underlay, "link", "set", port, "master", "underlay", "up")
        run("ip", "-n", self.netns, "address", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.netns, "link", "set", "eth0", "up")
        run("nsenter", f"--net=/run/netns/{self.netns}", "ethtool", "-K", "eth0", "tx", "off")
        self.round(())

    def round(self, peers: Iterable[Peer]) -> None:
        """One round of the service with these peers."""
        self.peers = tuple(peers)
        self._agent.round()
        self.dataplane.converge()

    def add_pod(self, name: str) -> tuple[str, str]:
        """A pod: the name of its namespace here, and its address."""
        code, handle, _, record = self.model.call("HcnCreateNamespace", "", 0, '{"Type": "Guest"}')
        assert code == 0, record
        namespace = self.model.handles.pop(handle)[1]
        result = self._pods.handle(self._request("ADD", name, namespace))
        assert result
        self.dataplane.converge()
        return self.dataplane.compartment_of(namespace), result["ips"][0]["address"].partition("/")[0]

    def stop(self) -> None:
        """Take everything away."""
        self.dataplane.clear()
        run("ip", "netns", "delete", self.netns, check=False)

    @staticmethod
    def _request(command: str, name: str, namespace: str) -> Request:
        return Request(
            command,
            "1.0.0",
            {"cniVersion": "1.0.0", "name": "ovn-k8s"},
            f"c-{name}",
            namespace,
            "eth0",
            {"K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": name},
        )
