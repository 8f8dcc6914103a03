# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A whole way: API server and the control plane's own endpoints controller, the watcher, a real OVN, packets.

Nodes n1 and n2 have pods, gateway `gw` has an interface of its own before which the internet lies.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "watcher"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "node"))

import small_ovn
from control_plane import ControlPlane, Objects, find_programs
from northbound import WatcherProcess
from small_ovn import UNDERLAY, Node, SmallOvn, eventually, mac, run

from ovn_k8s.core.layout import TABLES, Request, WantedGateway, WantedNode, lay_out
from ovn_k8s.kubernetes.errors import ApiRefused
from ovn_k8s.netlink.host_stack import SILENT
from ovn_k8s.ovsdb.client import Client
from ovn_k8s.ovsdb.remote import parse_remotes

ANSWER = str(Path(__file__).resolve().with_name("service_answer.py"))
GATEWAY, NEXTHOP = IPv4Interface("192.0.2.2/24"), "192.0.2.1"
INTERNET = "198.51.100.1"
IN_SUBNET, ROUTED = "192.0.2.77", "203.0.113.5"
MAC = "02:00:00:00:02:02"
NEIGHBOUR = f"{UNDERLAY}.200"
"""A machine among the nodes that is none of them."""


def missing() -> str:
    """Why it cannot run here, or an empty string."""
    if reason := small_ovn.missing():
        return reason
    programs = find_programs()
    if programs is None or not (programs / "kube-controller-manager").is_file():
        return "no kube-apiserver, kube-controller-manager and etcd: OVN_K8S_KUBE_BIN or `make lab-binaries`"
    return ""


class Place:
    """A network namespace in which programs ask and answer."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self.processes: list[subprocess.Popen[str]] = []

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command there."""
        return run("nsenter", f"--net=/run/netns/{self.netns}", *command, check=check)

    def spawn(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the program of service_answer.py there."""
        process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.netns}", sys.executable, "-IS", ANSWER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def serve(self, name: str, *ports: str) -> None:
        """Answer on ports such as `tcp:8080`; returns when it does."""
        process = self.spawn("serve", name, *ports)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def ask(self, address: str, port: int, protocol: str = "tcp", source: str = "") -> str:
        """What the server says: its name and whom it sees; `refused` or `silence`."""
        return self.run(sys.executable, "-IS", ANSWER, "ask", protocol, address, str(port), "0", source).strip()

    def names(self, address: str, port: int, protocol: str = "tcp", times: int = 12) -> set[str]:
        """The servers that answer several questions."""
        return {self.ask(address, port, protocol).split(" ")[0] for _ in range(times)}

    def stop(self) -> None:
        """End what was started."""
        for process in self.processes:
            process.kill()
            process.wait(10)


class Conversation:
    """One socket on which questions are asked one after the other."""

    def __init__(self, place: Place, address: str, port: int, protocol: str) -> None:
        self._process = place.spawn("keep", protocol, address, str(port))

    def ask(self) -> str:
        """The answer, as of `Place.ask`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


class Rig:
    """Everything. `pods` by name; `nodes` are the nodes' own places, `internet` what is beyond the gateway."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.ovn = SmallOvn()
        self.nodes: dict[str, Place] = {}
        self.pods: dict[str, Place] = {}
        self.chassis: dict[str, Node] = {}
        self.internet = Place(f"{self.ovn.prefix}-net")
        self.neighbour = Place(self.ovn.underlay)
        self.objects: Objects

    def start(self) -> None:
        programs = find_programs()
        assert programs is not None
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="services-")))
        self.plane = ControlPlane(programs, folder / "control-plane")
        self.stack.callback(self.plane.stop)
        self.plane.start()
        self._controllers(programs, folder)
        self.stack.callback(self._stop_places)
        self.stack.callback(self.ovn.stop)
        self.ovn.start()
        self.neighbour.run("ip", "address", "add", f"{NEIGHBOUR}/24", "dev", "underlay")
        self.neighbour.run("ethtool", "-K", "underlay", "tx", "off")
        self.ovn.nbctl("set", "logical_router", "cluster", "external_ids:ovn-k8s-owner=cluster")
        for name in ("n1", "n2", "gw"):
            self.chassis[name] = self.ovn.add_node(name, topology=False)
            self.chassis[name].take_underlay()
            _silence(self.chassis[name], "eth0")
        self.lay_out()
        for name, node in self.chassis.items():
            self.nodes[name] = Place(node.netns)
            _own_port(node)
        self._outside(self.chassis["gw"])
        self.objects = Objects(self.plane.api, "shop")
        self.objects.make_namespace()
        for name in ("n1", "n2"):
            node = {"metadata": {"name": name}}
            self.plane.api.create("/api/v1/nodes", node)
            addresses = [{"type": "InternalIP", "address": self.chassis[name].address}]
            self.plane.api.merge_patch(f"/api/v1/nodes/{name}/status", {"status": {"addresses": addresses}})
        self.watcher = WatcherProcess(
            folder / "watcher", f"unix:{self.ovn.northbound}", self.plane.kubeconfig("watcher")
        )
        self.stack.callback(self.watcher.stop)
        self.watcher.start()

    def lay_out(self) -> None:
        """The rows of nodes and gateway, as the role `topology` makes them."""
        nodes = [
            WantedNode(name, IPv4Address(node.address), IPv4Network(node.subnet)) for name, node in self.chassis.items()
        ]
        gateway = WantedGateway("gw", "gw", "ext0", GATEWAY, IPv4Address(NEXTHOP), MAC)
        request = Request("cluster", IPv4Network("10.244.0.0/16"), 24, IPv4Network("100.64.0.0/16"), nodes, [gateway])
        with Client(parse_remotes(f"unix:{self.ovn.northbound}"), "OVN_Northbound") as client:
            client.converge(TABLES, lambda database: lay_out(request, database).plan)

    def _controllers(self, programs: Path, folder: Path) -> None:
        log = (folder / "kube-controller-manager.log").open("ab")
        process = subprocess.Popen(
            [
                str(programs / "kube-controller-manager"),
                f"--kubeconfig={self.plane.kubeconfig('admin')}",
                "--controllers=endpointslice-controller",
                "--leader-elect=false",
                "--secure-port=0",
                "--endpointslice-updates-batch-period=0",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "GOMEMLIMIT": "256MiB"},
        )
        self.stack.callback(process.wait, 10)
        self.stack.callback(process.kill)

    def _outside(self, gateway: Node) -> None:
        net = self.internet.netns
        run("ip", "netns", "add", net)
        self.stack.callback(run, "ip", "netns", "delete", net, check=False)
        run("ip", "link", "add", "ext0", "netns", gateway.netns, "type", "veth", "peer", "name", "net0", "netns", net)
        for arguments in (
            ("link", "set", "lo", "up"),
            ("address", "add", f"{NEXTHOP}/24", "dev", "net0"),
            ("address", "add", f"{INTERNET}/32", "dev", "lo"),
            ("link", "set", "net0", "up"),
            ("route", "add", f"{ROUTED}/32", "via", str(GATEWAY.ip)),
        ):
            run("ip", "-n", net, *arguments)
        self.internet.run("ethtool", "-K", "net0", "tx", "off")
        gateway.enter("ip", "link", "set", "ext0", "up")
        gateway.vsctl("add-port", "br-int", "ext0", "--", "set", "interface", "ext0",
                      "external_ids:iface-id=ext0_gw")  # fmt: skip

    def pod(
        self,
        name: str,
        node: str,
        app: str,
        ports: Sequence[str] = ("tcp:8080", "udp:8080"),
        named: Mapping[str, int] | None = None,
        ready: bool = True,
    ) -> Place:
        """A pod as kubelet would have it: an object, an interface, servers, and a status that says how it is."""
        containers = [
            {
                "name": "main",
                "image": "example/none:1",
                "ports": [{"name": key, "containerPort": port} for key, port in (named or {}).items()],
            }
        ]
        document = {
            "metadata": {"name": name, "labels": {"app": app}},
            "spec": {"containers": containers, "nodeName": node, "terminationGracePeriodSeconds": 600},
        }
        self.objects.api.create(self.objects.path("pods"), document)
        port = f"shop_{name}"
        eventually(lambda: self._address(port), f"pod {name} has a port")
        address = self._address(port)
        place = Place(f"{self.ovn.prefix}-{name}")
        _interface(self.chassis[node], place.netns, f"p{address.rpartition('.')[2]}", port, address)
        self.pods[name] = place
        place.serve(name, *ports)
        self.report(name, ready, address)
        return place

    def report(self, name: str, ready: bool, address: str = "") -> None:
        """Say whether a pod is ready."""
        more = {"podIP": address, "podIPs": [{"ip": address}], "phase": "Running"} if address else {}
        condition = {"type": "Ready", "status": "True" if ready else "False"}
        self.objects.set_status(name, conditions=[condition], **more)

    def _address(self, port: str) -> str:
        words = self.ovn.nbctl("--if-exists", "get", "logical_switch_port", port, "external_ids:ip_address")
        return words.strip('"').partition("/")[0]

    def address(self, pod: str) -> str:
        """The address of a pod."""
        return self._address(f"shop_{pod}")

    def service(self, name: str, app: str | None, *ports: Mapping[str, Any], **spec: Any) -> str:
        """A service; its cluster address."""
        selector = {"selector": {"app": app}} if app else {}
        return self.objects.service(name, list(ports) or [{"port": 80, "targetPort": 8080}], **selector, **spec)

    def vips(self, name: str) -> dict[str, dict[str, str]]:
        """What the load balancers of a service do, by their names."""
        with Client(parse_remotes(f"unix:{self.ovn.northbound}"), "OVN_Northbound") as client:
            rows = client.snapshot(["Load_Balancer"]).owned(f"service/shop/{name}")
            return {row.columns["name"]: dict(row.columns["vips"]) for row in rows}

    def wait(self, name: str, *pods: str) -> None:
        """Wait until the service has exactly these pods behind every address, in every node's switch."""
        wanted = {self.address(pod) for pod in pods}

        def reached() -> bool:
            found = [
                {backend.rsplit(":", 1)[0] for backend in backends.split(",") if backend}
                for vips in self.vips(name).values()
                for backends in vips.values()
            ]
            return bool(found) and all(one == wanted for one in found)

        eventually(reached, f"service {name} has {sorted(pods)}; it has {self.vips(name)}")
        self.sync()

    def sync(self) -> None:
        """Wait until the chassis have what the database says, and have their datapaths forget what was before."""
        self.ovn.nbctl("--wait=hv", "sync")
        for node in self.chassis.values():
            node.appctl("ovs-vswitchd", "revalidator/purge")

    def delete(self, *names: str) -> None:
        """Delete services."""
        for name in names:
            with contextlib.suppress(ApiRefused):
                self.objects.delete("services", name)

    def _stop_places(self) -> None:
        for place in (*self.pods.values(), *self.nodes.values(), self.internet, self.neighbour):
            place.stop()
        for place in self.pods.values():
            run("ip", "netns", "delete", place.netns, check=False)

    def stop(self) -> None:
        """Take all down."""
        self.stack.close()


def _own_port(node: Node, gateway_interface: str = "") -> None:
    """The node's own port and what belongs to it, as `ovn-k8s-overlay apply` makes it, and the part of a gateway."""
    eventually(lambda: "br-int" in node.vsctl("list-br"), "br-int exists")
    config = node.directory / "node.toml"
    config.write_text(
        textwrap.dedent(
            f"""\
            node_name = "{node.name}"
            node_ip = "{node.address}"
            node_subnet = "{node.subnet}"
            cluster_cidr = "10.244.0.0/16"
            service_cidr = "10.96.0.0/16"
            mtu = 1400
            datapath_type = "netdev"
            [openvswitch]
            remote = "unix:{node.socket}"
            """
        )
        + (f'[gateway]\ninterface = "{gateway_interface}"\n' if gateway_interface else "")
    )
    state = str(node.directory / "host-state.json")
    node.enter(sys.executable, "-m", "ovn_k8s.overlay", "apply", "--config", str(config), "--state", state)
    node.enter("ethtool", "-K", f"k8s-{node.name}", "tx", "off")


def _silence(node: Node, interface: str) -> None:
    """With the userspace datapath the node's own stack sees the frames of the interface, too."""
    for setting, value in SILENT.items():
        family, key = setting.split("/")
        node.enter("sysctl", "-qw", f"net.{family}.conf.{interface}.{key}={value}")


def _interface(node: Node, netns: str, name: str, port: str, address: str) -> None:
    """A veth from the node's switch into a namespace of its own, with the address of a logical port."""
    run("ip", "netns", "add", netns)
    run("ip", "link", "add", name, "netns", node.netns, "type", "veth", "peer", "name", "eth0", "netns", netns)
    for arguments in (
        (node.netns, "link", "set", name, "up"),
        (netns, "link", "set", "lo", "up"),
        (netns, "link", "set", "eth0", "address", mac(address), "mtu", "1400", "up"),
        (netns, "address", "add", f"{address}/24", "dev", "eth0"),
        (netns, "route", "add", "default", "via", node.subnet.replace("0/24", "1")),
    ):
        run("ip", "-n", *arguments)
    run("nsenter", f"--net=/run/netns/{netns}", "ethtool", "-K", "eth0", "tx", "off")
    _silence(node, name)
    node.vsctl("add-port", "br-int", name, "--", "set", "interface", name, f"external_ids:iface-id={port}")
