# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A small real OVN on this machine: each node is a network namespace with its own Open vSwitch (userspace datapath)."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ovn_k8s.netlink.host_stack import SILENT

OVS_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
OVN_SCHEMAS = Path("/usr/share/ovn")
PROGRAMS = (
    "ovsdb-server",
    "ovs-vswitchd",
    "ovn-controller",
    "ovn-northd",
    "ovs-vsctl",
    "ovn-nbctl",
    "ovn-sbctl",
    "ip",
    "nsenter",
    "ping",
    "ethtool",
)
UNDERLAY = "172.30.0"


def missing() -> str:
    """Why it cannot run here, or an empty string."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"needs {', '.join(absent)}" if absent else ""


def run(*command: str, check: bool = True) -> str:
    """Run a command; its standard output."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if check and result.returncode:
        raise AssertionError(f"{' '.join(command)}: {result.stderr or result.stdout}")
    return result.stdout


def eventually(probe: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until `probe` is true; a machine that is busy may take long."""
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.05)


class Node:
    """A chassis: network namespace `self.netns`, NIC eth0 with `self.address` on the underlay."""

    def __init__(self, ovn: SmallOvn, name: str, number: int) -> None:
        self.ovn, self.name = ovn, name
        self.address = f"{UNDERLAY}.{number}"
        self.subnet = f"10.244.{number}.0/24"
        self.netns = f"{ovn.prefix}-{name}"
        self.directory = ovn.directory / name
        self.directory.mkdir()
        self.environment = {
            **os.environ,
            **dict.fromkeys(("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVN_RUNDIR"), str(self.directory)),
        }
        self.socket = self.directory / "db.sock"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def enter(self, *command: str, check: bool = True) -> str:
        """Run a command in the node's network namespace."""
        return run("nsenter", f"--net=/run/netns/{self.netns}", *command, check=check)

    def vsctl(self, *arguments: str) -> str:
        return run("ovs-vsctl", f"--db=unix:{self.socket}", "--timeout=10", *arguments).strip()

    def appctl(self, target: str, *arguments: str) -> str:
        control = next(self.directory.glob(f"{target}.*.ctl"))
        return run("ovs-appctl", "-t", str(control), *arguments)

    def spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a long-running program in the node's namespace."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.netns}", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        return self.daemons[name]

    def start(self) -> None:
        run("ip", "netns", "add", self.netns)
        self.enter("ip", "link", "set", "lo", "up")
        port = f"v{self.address.rpartition('.')[2]}"
        run("ip", "link", "add", "eth0", "netns", self.netns, "mtu", "1500", "type", "veth", "peer", "name", port,
            "netns", self.ovn.underlay)  # fmt: skip
        run("ip", "-n", self.ovn.underlay, "link", "set", port, "master", "underlay", "up")
        self.enter("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.enter("ip", "link", "set", "eth0", "up")
        self.enter("ethtool", "-K", "eth0", "tx", "off")
        run("ovsdb-tool", "create", str(self.directory / "conf.db"), str(OVS_SCHEMA))
        self.start_database()
        self.vsctl(
            "--no-wait", "set", "Open_vSwitch", ".", f"external_ids:system-id={self.name}",
            f"external_ids:hostname={self.name}", f"external_ids:ovn-remote=unix:{self.ovn.southbound}",
            "external_ids:ovn-encap-type=geneve", f"external_ids:ovn-encap-ip={self.address}",
            "external_ids:ovn-bridge-datapath-type=netdev",
        )  # fmt: skip
        self.start_switch()
        self.start_controller()

    def start_database(self) -> None:
        self.spawn("ovsdb-server", "ovsdb-server", str(self.directory / "conf.db"), f"--remote=punix:{self.socket}")
        eventually(self.socket.exists, f"{self.socket} exists")
        self.vsctl("--no-wait", "init")

    def start_switch(self) -> None:
        self.spawn("ovs-vswitchd", "ovs-vswitchd", f"unix:{self.socket}")

    def start_controller(self) -> None:
        self.spawn("ovn-controller", "ovn-controller", f"unix:{self.socket}")

    def take_underlay(self) -> None:
        """The userspace datapath sends its tunnels through a bridge of its own, which has the node's address.

        As `ovn-k8s-overlay apply` does it: with the NIC's MAC, and with the kernel kept quiet on the NIC. Else both
        answer who asks for the address, each with a MAC of its own, and tunnels go to the one that was faster.
        """
        hardware = json.loads(self.enter("ip", "-j", "link", "show", "eth0"))[0]["address"]
        self.vsctl("add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev",
                   f'other_config:hwaddr="{hardware}"', "--", "add-port", "br-phy", "eth0")  # fmt: skip
        self.silence("eth0")
        self.enter("ip", "address", "flush", "dev", "eth0")
        self.enter("ip", "address", "add", f"{self.address}/24", "dev", "br-phy")
        self.enter("ip", "link", "set", "br-phy", "up")

    def silence(self, interface: str) -> None:
        """Keep the node's own stack off an interface that is Open vSwitch's."""
        for setting, value in SILENT.items():
            family, key = setting.split("/")
            self.enter("sysctl", "-qw", f"net.{family}.conf.{interface}.{key}={value}")

    def stop_daemon(self, name: str, kill: bool = False) -> None:
        """End one program and wait for it."""
        process = self.daemons.pop(name)
        process.kill() if kill else process.terminate()
        process.wait(10)

    def stop(self) -> None:
        for name in reversed(list(self.daemons)):
            self.stop_daemon(name, kill=True)
        run("ip", "netns", "delete", self.netns, check=False)


class SmallOvn:
    """Northbound, southbound, northd, an underlay bridge and the nodes that were added."""

    _numbers = itertools.count()

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ovnk-", dir="/tmp"))
        self.prefix = f"ovnk{os.getpid()}x{next(self._numbers)}"
        self.underlay = f"{self.prefix}-underlay"
        self.northbound = self.directory / "nb.sock"
        self.southbound = self.directory / "sb.sock"
        self.nodes: list[Node] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *, router: bool = True) -> None:
        """Start the central part; with the cluster router, unless the test makes it itself."""
        run("ip", "netns", "add", self.underlay)
        run("ip", "-n", self.underlay, "link", "add", "underlay", "type", "bridge")
        run("ip", "-n", self.underlay, "link", "set", "underlay", "up")
        for database in ("nb", "sb"):
            run(
                "ovsdb-tool",
                "create",
                str(self.directory / f"{database}.db"),
                str(OVN_SCHEMAS / f"ovn-{database}.ovsschema"),
            )
            self.start_database(database)
        self._spawn("northd", "ovn-northd", f"--ovnnb-db=unix:{self.northbound}", f"--ovnsb-db=unix:{self.southbound}")
        if not router:
            return
        self.nbctl("lr-add", "cluster", "--", "set", "logical_router", "cluster", "external_ids:k8s-cluster-router=yes")

    def start_database(self, database: str) -> None:
        path = self.directory / f"{database}.sock"
        self._spawn(database, "ovsdb-server", str(self.directory / f"{database}.db"), f"--remote=punix:{path}")
        eventually(path.exists, f"{path} exists")

    def stop_database(self, database: str) -> None:
        process = self._processes.pop(database)
        process.kill()
        process.wait(10)
        (self.directory / f"{database}.sock").unlink(missing_ok=True)

    def _spawn(self, name: str, *command: str) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OVN_RUNDIR": str(self.directory), "OVS_RUNDIR": str(self.directory)},
            )

    def nbctl(self, *arguments: str) -> str:
        return run("ovn-nbctl", f"--db=unix:{self.northbound}", "--timeout=30", *arguments).strip()

    def sbctl(self, *arguments: str) -> str:
        return run("ovn-sbctl", f"--db=unix:{self.southbound}", "--timeout=30", *arguments).strip()

    def add_node(self, name: str, *, topology: bool = True) -> Node:
        """A chassis; with `topology` also its logical switch, router port and node port."""
        node = Node(self, name, 11 + len(self.nodes))
        self.nodes.append(node)
        node.start()
        if not topology:
            return node
        base = node.subnet.removesuffix("0/24")
        router, own = f"{base}1", f"{base}2"
        self.nbctl(
            "ls-add", name, "--", "set", "logical_switch", name, f"other_config:subnet={node.subnet}",
            "--", "lrp-add", "cluster", f"rtos-{name}", mac(router), f"{router}/24",
            "--", "lsp-add", name, f"stor-{name}", "--", "lsp-set-type", f"stor-{name}", "router",
            "--", "lsp-set-addresses", f"stor-{name}", "router",
            "--", "lsp-set-options", f"stor-{name}", f"router-port=rtos-{name}",
            "--", "lsp-add", name, f"k8s-{name}", "--", "lsp-set-addresses", f"k8s-{name}", f"{mac(own)} {own}",
            "--", "lr-route-add", "cluster", f"{node.address}/32", own,
        )  # fmt: skip
        return node

    def add_pod_port(self, node: Node, namespace: str, name: str, uid: str, host: int) -> str:
        """What the watcher writes for a pod; its address."""
        base = node.subnet.removesuffix("0/24")
        address = f"{base}{host}"
        port = f"{namespace}_{name}"
        ids = {
            "ovn-k8s-owner": f"pod/{namespace}/{name}",
            "namespace": namespace,
            "pod": "true",
            "pod_uid": uid,
            "ip_address": f"{address}/24",
            "gateway_ip": f"{base}1",
            "mac_address": mac(address),
        }
        self.nbctl(
            "--may-exist", "lsp-add", node.name, port, "--", "lsp-set-addresses", port, f"{mac(address)} {address}",
            "--", "lsp-set-port-security", port, f"{mac(address)} {address}",
            "--", "lsp-set-options", port, f"requested-chassis={node.name}",
            "--", "set", "logical_switch_port", port, *(f'external_ids:{key}="{value}"' for key, value in ids.items()),
        )  # fmt: skip
        return address

    def died(self) -> dict[str, str]:
        """Programs that have ended by themselves, which may be why a test failed: the last words of each."""
        return {
            f"{name} of {node.name}": (node.directory / f"{name}.log").read_text(errors="replace")[-300:]
            for node in self.nodes
            for name, process in node.daemons.items()
            if process.poll() is not None
        }

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
        for process in self._processes.values():
            process.kill()
            process.wait(10)
        run("ip", "netns", "delete", self.underlay, check=False)
        with contextlib.suppress(OSError):
            shutil.rmtree(self.directory)


def mac(address: str) -> str:
    """0a:58 and the address in hexadecimal."""
    return "0a:58:" + ":".join(f"{int(octet):02x}" for octet in address.split("."))
