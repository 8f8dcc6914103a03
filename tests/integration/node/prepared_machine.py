# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A machine with everything but a subnet, as an image makes one."""

from __future__ import annotations

import json
import re
import subprocess
import sys

from cni_caller import Agent
from small_ovn import Node


class PreparedMachine:
    """A node whose node.toml says no subnet; its agent is started again whenever it ends, as systemd does."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.agent = Agent(node)
        self.record = node.directory / "node-subnet"
        text = self.agent.config.read_text()
        self.agent.config.write_text(re.sub(r"(?m)^node_subnet.*\n", "", text))
        self.agent.options = (f"--record={self.record}", f"--state={node.directory / 'host-state.json'}")

    def start(self) -> subprocess.Popen[bytes]:
        return self.node.spawn(
            "agent", sys.executable, "-m", "ovn_k8s.node", "--config", str(self.agent.config),
            "--socket", str(self.agent.socket), *self.agent.options,
        )  # fmt: skip

    def overlay(self, command: str) -> list[str]:
        output = self.node.enter(
            sys.executable, "-m", "ovn_k8s.overlay", command, "--json", "--config", str(self.agent.config),
            *self.agent.options,
        )  # fmt: skip
        return list(json.loads(output)["changes"])

    def addresses(self) -> list[str]:
        shown = self.node.enter("ip", "-4", "-j", "address", "show", f"k8s-{self.node.name}", check=False)
        return [entry["local"] for link in json.loads(shown or "[]") if link for entry in link["addr_info"]]

    def pings(self, address: str) -> bool:
        return "1 received" in self.node.enter("ping", "-c1", "-W1", "-n", address, check=False)
