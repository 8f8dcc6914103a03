# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Real connections between the internet, the node and the pod."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import rig

ECHO = Path(__file__).with_name("echo.py")


@dataclass(frozen=True)
class Answer:
    """`seen`: the addresses and ports under which the server saw the client; `longest`: the longest wait in seconds."""

    seen: tuple[str, ...]
    questions: int
    longest: float
    error: str

    @property
    def address(self) -> str:
        """The only source address that the server saw."""
        (seen,) = self.seen
        return seen.rpartition(":")[0]


class Conversation:
    """A client that is running."""

    def __init__(self, process: subprocess.Popen[bytes], namespace: str) -> None:
        self._process, self._namespace = process, namespace

    def result(self) -> Answer:
        output, _ = self._process.communicate(timeout=60)
        try:
            found = json.loads(output)
        except ValueError:
            raise AssertionError(f"client in {self._namespace}: {output.decode()}") from None
        return Answer(tuple(found["seen"]), int(found["questions"]), found["longest"], found["error"])


class Traffic:
    """Servers and clients in the rig's namespaces."""

    def __init__(self, gateway: rig.Gateway) -> None:
        self.gateway = gateway
        self.internet, self.node, self.pod = gateway.internet, gateway.node.netns, gateway.pod

    def start(self) -> None:
        for protocol in ("tcp", "udp"):
            self._serve(self.internet, protocol, rig.INTERNET, 9000)
            self._serve(self.node, protocol, "0.0.0.0", 9001)
            self._serve(self.pod, protocol, "0.0.0.0", 9002)
        for namespace, address, port in (
            (self.internet, rig.INTERNET, 9000),
            (self.node, "127.0.0.1", 9001),
            (self.pod, "127.0.0.1", 9002),
        ):
            for protocol in ("tcp", "udp"):
                self.eventually(namespace, protocol, address, port)

    def _serve(self, namespace: str, protocol: str, address: str, port: int) -> None:
        self.gateway.spawn(namespace, sys.executable, str(ECHO), "serve", protocol, address, str(port))

    def begin(
        self, namespace: str, protocol: str, address: str, port: int, *, local_port: int = 0, seconds: float = 0
    ) -> Conversation:
        """Begin to talk."""
        arguments = (protocol, str(local_port), address, str(port), str(seconds))
        process = self.gateway.spawn(namespace, sys.executable, str(ECHO), "ask", *arguments)
        return Conversation(process, namespace)

    def ask(self, namespace: str, protocol: str, address: str, port: int, **more: float) -> Answer:
        """Talk and wait for the end."""
        return self.begin(namespace, protocol, address, port, **more).result()  # type: ignore[arg-type]

    def eventually(self, namespace: str, protocol: str, address: str, port: int, seconds: float = 40) -> Answer:
        """The first answer without error. A single question may wait for 15 s."""
        deadline = time.monotonic() + seconds
        while (answer := self.ask(namespace, protocol, address, port)).error:
            assert time.monotonic() < deadline, f"{namespace} {protocol} {address}:{port}: {answer.error}"
            time.sleep(0.1)
        return answer
