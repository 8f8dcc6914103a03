# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A node's side of a conversation with netcheck: one line over TCP or UDP, and the answer."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PAYLOAD = "hello"


def ask(protocol: str, address: str, port: int, attempts: int = 4, timeout: float = 1.0) -> dict[str, Any]:
    """Talk to a server until it answers, at most `attempts` times; the result has the form of `netcheck check`."""
    error = ""
    for attempt in range(1, attempts + 1):
        begun = time.monotonic()
        try:
            said = _exchange(protocol, address, port, timeout)
        except (OSError, ValueError) as failure:
            error = str(failure) or type(failure).__name__
            if attempt < attempts:
                time.sleep(max(0.0, min(0.2, timeout - (time.monotonic() - begun))))
            continue
        return {
            "ok": True,
            "protocol": protocol,
            "attempts": attempt,
            "milliseconds": round(1000 * (time.monotonic() - begun), 3),
            "answer": said,
        }
    return {"ok": False, "protocol": protocol, "attempts": attempts, "error": error}


def _exchange(protocol: str, address: str, port: int, timeout: float) -> dict[str, Any]:
    if protocol == "tcp":
        with socket.create_connection((address, port), timeout=timeout) as stream:
            stream.sendall(f"{PAYLOAD}\n".encode())
            with stream.makefile("rb") as lines:
                line = lines.readline(65536)
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
            packets.settimeout(timeout)
            packets.connect((address, port))
            packets.send(PAYLOAD.encode())
            line = packets.recv(65536)
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError(f"the answer {line[:60]!r} is not netcheck's")
    return said


def ask_many(targets: list[tuple[str, str, int]], attempts: int = 4) -> list[dict[str, Any]]:
    """Several conversations at once: (protocol, address, port) each; results in the same order."""
    if not targets:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(targets))) as pool:
        return list(pool.map(lambda target: ask(target[0], target[1], target[2], attempts), targets))
