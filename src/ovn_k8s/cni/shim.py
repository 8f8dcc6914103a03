#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The CNI executable (/opt/cni/bin/ovn-k8s-cni): hands a runtime's call to ovn-k8s-node and prints the answer.

It stands alone and imports little, because it starts twice for each pod. One exchange on a unix stream socket:
`{"env": {CNI_* variables}, "stdin": "…"}`, end of writing; back `{"code": 0 or a CNI error code, "stdout": "…"}`.
VERSION is answered without the agent.
"""

import json
import os
import socket
import sys

SOCKET = "/run/ovn-k8s/cni.sock"
SUPPORTED_VERSIONS = ("0.4.0", "1.0.0", "1.1.0")
CONNECT_SECONDS = 5
REPLY_SECONDS = 100
DECODING_FAILURE, TRY_AGAIN_LATER, NOT_AVAILABLE = 6, 11, 50


def ask(path: str, request: str) -> tuple[int, str]:
    """Send one request to the agent; its code and what goes to standard output.

    Raises:
        OSError: no agent listens, or it did not answer in time.
        ValueError: it answered something else than the protocol says.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(path)
        connection.settimeout(REPLY_SECONDS)
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    if not parts:
        raise ValueError("it closed the connection without an answer")
    reply = json.loads(b"".join(parts))
    try:
        return int(reply["code"]), str(reply["stdout"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"its answer lacks code or stdout ({error})") from error


def failure(version: str, code: int, message: str, details: str) -> int:
    """Print an error object; a failed plugin exits with 1."""
    print(json.dumps({"cniVersion": version, "code": code, "msg": message, "details": details}))
    return 1


def main() -> int:
    """Answer one call of the runtime; the exit status."""
    command = os.environ.get("CNI_COMMAND", "")
    stdin = sys.stdin.read()
    version, path = SUPPORTED_VERSIONS[-1], SOCKET
    try:
        config = json.loads(stdin)
        version = str(config.get("cniVersion", version))
        path = str(config.get("socket", SOCKET))
    except (ValueError, AttributeError) as error:
        if command != "VERSION":
            return failure(version, DECODING_FAILURE, "standard input is not a JSON network configuration", str(error))
    if command == "VERSION":
        print(json.dumps({"cniVersion": version, "supportedVersions": SUPPORTED_VERSIONS}))
        return 0
    environment = {name: value for name, value in os.environ.items() if name.startswith("CNI_")}
    try:
        code, stdout = ask(path, json.dumps({"env": environment, "stdin": stdin}))
    except (OSError, ValueError) as error:
        absent = NOT_AVAILABLE if command == "STATUS" else TRY_AGAIN_LATER
        return failure(
            version, absent, f"ovn-k8s-node does not answer on {path}; is ovn-k8s-node.service up?", str(error)
        )
    if stdout:
        print(stdout)
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
