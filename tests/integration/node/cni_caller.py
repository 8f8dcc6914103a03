# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Calls the CNI executable as a container runtime does, with network namespaces for pods."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from small_ovn import Node, eventually, run

from ovn_k8s.cni import shim

_numbers = itertools.count(3)


@dataclass
class Reply:
    """Exit status and decoded standard output (None when it was empty)."""

    status: int
    output: Any


@dataclass
class Sandbox:
    """A pod's sandbox: a network namespace of its own, and the pod's identity."""

    node: Node
    name: str
    namespace: str = "default"
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    container: str = field(default_factory=lambda: uuid.uuid4().hex)
    host: int = field(default_factory=lambda: next(_numbers))

    @property
    def netns(self) -> str:
        return f"{self.node.ovn.prefix}-{self.container[:12]}"

    @property
    def path(self) -> str:
        return f"/run/netns/{self.netns}"

    @property
    def args(self) -> str:
        return (
            f"IgnoreUnknown=1;K8S_POD_NAMESPACE={self.namespace};K8S_POD_NAME={self.name};"
            f"K8S_POD_INFRA_CONTAINER_ID={self.container};K8S_POD_UID={self.uid}"
        )

    def create(self) -> Sandbox:
        run("ip", "netns", "add", self.netns)
        return self

    def delete(self) -> None:
        run("ip", "netns", "delete", self.netns, check=False)

    def enter(self, *command: str, check: bool = True) -> str:
        return run("nsenter", f"--net={self.path}", *command, check=check)


class Agent:
    """ovn-k8s-node of one node, as a process of its own."""

    def __init__(self, node: Node, *options: str) -> None:
        self.node = node
        self.options = options
        self.socket = node.directory / "cni.sock"
        self.config = node.directory / "node.toml"
        self.config.write_text(
            textwrap.dedent(
                f"""\
                node_name = "{node.name}"
                cluster_cidr = "10.244.0.0/16"
                service_cidr = "10.96.0.0/16"
                node_subnet = "{node.subnet}"
                mtu = 1400
                datapath_type = "netdev"
                [underlay]
                bridge = "br-phy"
                interface = "eth0"
                address = "{node.address}/24"
                [southbound]
                remote = "unix:{node.ovn.southbound}"
                [openvswitch]
                remote = "unix:{node.socket}"
                """
            )
        )

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.node.spawn(
            "agent", sys.executable, "-m", "ovn_k8s.node", "--config", str(self.config),
            "--socket", str(self.socket), *self.options,
        )  # fmt: skip
        eventually(self.socket.exists, "the agent listens")
        eventually(lambda: self.call("STATUS").status == 0, "the agent is ready")

    def kill(self) -> None:
        process = self.node.daemons["agent"]
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def log(self) -> str:
        return (self.node.directory / "agent.log").read_text()

    def call(
        self,
        command: str,
        sandbox: Sandbox | None = None,
        *,
        version: str = "1.1.0",
        config: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Reply:
        """One call of the executable."""
        process = self.begin(command, sandbox, version=version, config=config, environment=environment)
        output, _ = process.communicate(timeout=120)
        return Reply(process.returncode, json.loads(output) if output.strip() else None)

    def begin(
        self,
        command: str,
        sandbox: Sandbox | None = None,
        *,
        version: str = "1.1.0",
        config: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start the executable and feed it; the caller waits for it."""
        variables = {"CNI_COMMAND": command, "CNI_PATH": "/opt/cni/bin", "PATH": os.environ["PATH"]}
        if sandbox:
            variables |= {
                "CNI_CONTAINERID": sandbox.container,
                "CNI_NETNS": sandbox.path,
                "CNI_IFNAME": "eth0",
                "CNI_ARGS": sandbox.args,
            }
        document = {"cniVersion": version, "name": "ovn-k8s", "type": "ovn-k8s-cni", "socket": str(self.socket)}
        process = subprocess.Popen(
            [str(Path(shim.__file__))],
            env=variables | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin
        process.stdin.write(json.dumps(document | (config or {})).encode())
        process.stdin.close()
        process.stdin = None
        return process
