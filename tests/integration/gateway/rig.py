# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A gateway with one NIC for everything, a pod behind it and an internet before it, on a real OVN."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "node"))

import small_ovn
from small_ovn import Node, SmallOvn, eventually, run

from ovn_k8s.core.gateway_flows import COOKIE
from ovn_k8s.core.layout import TABLES, Request, WantedGateway, WantedNode, lay_out
from ovn_k8s.netlink.namespace import Namespace
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

NIC, BRIDGE = "ext0", "brext0"
PATCH, PATCH_PEER = f"k8s-patch-{BRIDGE}-br-int", f"k8s-patch-br-int-{BRIDGE}"
ADDRESS = IPv4Interface("192.0.2.2/24")
NEXTHOP = IPv4Address("192.0.2.1")
INTERNET = "198.51.100.1"
POD = "10.244.14.3"
MAC = "02:00:00:00:02:02"


def missing() -> str:
    """Why it cannot run here, or an empty string."""
    absent = [program for program in ("nft", "tcpdump", "ethtool", "ping") if not shutil.which(program)]
    return small_ovn.missing() or (f"needs {', '.join(absent)}" if absent else "")


class Gateway:
    """Chassis `gw` whose NIC ext0 is in bridge brext0, pod `default_pod` on it, namespace `internet` before it."""

    def __init__(self) -> None:
        self.ovn = SmallOvn()
        self.internet = f"{self.ovn.prefix}-net"
        self.pod = f"{self.ovn.prefix}-pod"
        self.background: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.ovn.start()
        self.ovn.nbctl("set", "logical_router", "cluster", "external_ids:ovn-k8s-owner=cluster")
        self.node = Node(self.ovn, "gw", 14)
        self.ovn.nodes.append(self.node)
        self.node.start()
        run("ip", "netns", "add", self.internet)
        run("ip", "link", "add", NIC, "address", MAC, "netns", self.node.netns, "type", "veth", "peer", "name", "net0",
            "netns", self.internet)  # fmt: skip
        self.outside("ip", "link", "set", "lo", "up")
        for address, device in ((f"{NEXTHOP}/24", "net0"), (f"{INTERNET}/32", "lo")):
            self.outside("ip", "address", "add", address, "dev", device)
        self.outside("ip", "link", "set", "net0", "up")
        self.outside("ethtool", "-K", "net0", "tx", "off")
        self.node.enter("ethtool", "-K", NIC, "tx", "off")
        self.node.enter("ip", "link", "set", NIC, "up")
        self.node.silence(NIC)
        self.make_bridge()
        self.lay_out(ADDRESS)
        eventually(lambda: "br-int" in self.node.vsctl("list-br"), "br-int exists")
        self._add_pod()

    def make_bridge(self) -> None:
        """Have the NIC in its bridge."""
        self.node.vsctl("--may-exist", "add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev",
                        "fail_mode=standalone", f"other_config:hwaddr={MAC}", "--", "--may-exist", "add-port", BRIDGE,
                        NIC)  # fmt: skip
        self.configure_bridge()

    def repair(self) -> None:
        """Put back what a test that failed halfway has left, so that the next one does not fail too."""
        died = self.ovn.died()
        gone = {name for name in ("ovsdb-server", "ovs-vswitchd") if not self._runs(name)}
        if "ovsdb-server" in gone:
            self.node.socket.unlink(missing_ok=True)
            self.node.start_database()
        if "ovs-vswitchd" in gone:
            self.node.start_switch()
        if gone or NIC not in self.node.vsctl("--bare", "--columns=name", "find", "port", f"name={NIC}"):
            self.make_bridge()
        assert not died

    def _runs(self, name: str) -> bool:
        return name in self.node.daemons and self.node.daemons[name].poll() is None

    def configure_bridge(self) -> None:
        """What a network manager does whenever the interface appears: with the userspace datapath it goes with OVS."""
        eventually(lambda: BRIDGE in self.node.enter("ip", "-br", "link"), f"{BRIDGE} exists")
        self.node.enter("ip", "link", "set", BRIDGE, "up")
        self.node.enter("ip", "address", "replace", str(ADDRESS), "dev", BRIDGE)
        self.node.enter("ip", "route", "replace", "default", "via", str(NEXTHOP))

    def restart_switch(self, kill: bool = False) -> None:
        """Open vSwitch goes and comes back."""
        self.node.stop_daemon("ovs-vswitchd", kill=kill)
        self.node.start_switch()
        self.configure_bridge()

    def lay_out(self, address: IPv4Interface) -> None:
        """The northbound rows of the gateway, as role and init commands make them."""
        request = Request(
            "cluster",
            IPv4Network("10.244.0.0/16"),
            24,
            IPv4Network("100.64.0.0/16"),
            [WantedNode("gw", IPv4Address(self.node.address), IPv4Network(self.node.subnet))],
            [WantedGateway("gw", "gw", BRIDGE, address, NEXTHOP, MAC)],
        )
        with Client(parse_remotes(f"unix:{self.ovn.northbound}"), "OVN_Northbound") as client:
            client.converge(TABLES, lambda database: lay_out(request, database).plan)

    def _add_pod(self) -> None:
        self.ovn.add_pod_port(self.node, "default", "pod", "uid", 3)
        run("ip", "netns", "add", self.pod)
        mac = small_ovn.mac(POD)
        run("ip", "link", "add", "pod0", "address", mac, "netns", self.pod, "type", "veth", "peer", "name", "pod0-host",
            "netns", self.node.netns)  # fmt: skip
        self.inside("ethtool", "-K", "pod0", "tx", "off")
        self.node.enter("ip", "link", "set", "pod0-host", "up")
        self.node.vsctl("add-port", "br-int", "pod0-host", "--", "set", "interface", "pod0-host",
                        "external_ids:iface-id=default_pod")  # fmt: skip
        for command in (
            ("address", "add", f"{POD}/24", "dev", "pod0"),
            ("link", "set", "lo", "up"),
            ("link", "set", "pod0", "mtu", "1400", "up"),
            ("route", "add", "default", "via", "10.244.14.1"),
        ):
            run("ip", "-n", self.pod, *command)

    def outside(self, *command: str, check: bool = True) -> str:
        """Run a command in the internet."""
        return run("nsenter", f"--net=/run/netns/{self.internet}", *command, check=check)

    def inside(self, *command: str, check: bool = True) -> str:
        """Run a command in the pod."""
        return run("nsenter", f"--net=/run/netns/{self.pod}", *command, check=check)

    def ofctl(self, command: str, *arguments: str) -> str:
        target = f"unix:{self.node.directory}/{BRIDGE}.mgmt"
        return run("ovs-ofctl", "-O", "OpenFlow14", "--no-stats", command, target, *arguments)

    def ofport(self, name: str) -> int:
        return int(self.node.vsctl("get", "interface", name, "ofport"))

    def spawn(self, namespace: str, *command: str) -> subprocess.Popen[bytes]:
        """A program in a namespace, ended with the rig."""
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{namespace}", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OVS_RUNDIR": str(self.node.directory)},
        )
        self.background.append(process)
        return process

    def stop(self) -> None:
        for process in self.background:
            process.kill()
            process.wait(10)
        self.ovn.stop()
        for name in (self.internet, self.pod):
            with contextlib.suppress(AssertionError):
                run("ip", "netns", "delete", name)


class Helper:
    """The program ovn-k8s-gateway-helper in the gateway's namespace, with a configuration of its own."""

    def __init__(self, gateway: Gateway, *more: str) -> None:
        self.gateway = gateway
        self.node = gateway.node
        directory = self.node.directory
        self.config = directory / "gateway-helper.toml"
        self.config.write_text(
            "\n".join(
                (
                    'node_name = "gw"',
                    f'bridge = "{BRIDGE}"',
                    f'interface = "{NIC}"',
                    *more,
                    f'openvswitch.directory = "{directory}"',
                    f'southbound.remote = "unix:{gateway.ovn.southbound}"',
                    "http.port = 9410",
                )
            )
        )

    def start(self) -> None:
        self.stop()
        self.node.spawn("helper", sys.executable, "-m", "ovn_k8s.gateway", "run", "--config", str(self.config))

    def stop(self, kill: bool = False) -> None:
        if "helper" in self.node.daemons:
            self.node.stop_daemon("helper", kill=kill)

    def pause(self) -> None:
        self.node.daemons["helper"].send_signal(signal.SIGSTOP)

    def command(self, *arguments: str, check: bool = True) -> str:
        """Run another command of the program."""
        command, *rest = arguments
        program = (sys.executable, "-m", "ovn_k8s.gateway", command, "--config", str(self.config), *rest)
        return self.node.enter(*program, check=check)

    def get(self, path: str) -> tuple[int, str]:
        """A status page, asked for inside the gateway's namespace."""

        def fetch() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:9410{path}", timeout=5) as reply:
                    return reply.status, reply.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError as error:
                return 0, str(error)

        with Namespace(f"/run/netns/{self.node.netns}") as namespace:
            return namespace.run(fetch)

    def metric(self, name: str) -> float:
        """The value of a figure, 0 when it is not there yet."""
        lines = (line.rpartition(" ") for line in self.get("/metrics")[1].splitlines())
        return next((float(value) for key, _, value in lines if key == name), 0.0)

    def wait_ready(self) -> None:
        eventually(lambda: self.get("/readyz")[0] == 200, "the helper is ready")

    def flows(self) -> list[str]:
        """The flows of the bridge that are the helper's."""
        return [line for line in self.gateway.ofctl("dump-flows").splitlines() if f"cookie={COOKIE:#x}" in line]
