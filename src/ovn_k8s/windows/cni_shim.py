# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The CNI executable of a Windows node (ovn-k8s-cni.exe): hands a runtime's call to the service, prints the answer."""

from __future__ import annotations

import json
import os
import sys
import threading

from ovn_k8s.cni.shim import DECODING_FAILURE, NOT_AVAILABLE, SUPPORTED_VERSIONS, TRY_AGAIN_LATER, failure

from .cni_pipe import PIPE, packed, received
from .named_pipe import opened

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 100.0


def ask(message: object) -> tuple[int, str]:
    """Send one request to the service; its code and what goes to standard output.

    Raises:
        OSError: no service listens, or it did not answer in time.
        ValueError: it answered something else than the protocol says.
    """
    outcome: list[tuple[int, str]] = []
    errors: list[Exception] = []

    def talk() -> None:
        try:
            with opened(PIPE, CONNECT_SECONDS) as pipe:
                pipe.write(packed(message))
                reply = received(lambda count: pipe.read(count) or b"")
            outcome.append((int(reply["code"]), str(reply["stdout"])))
        except (KeyError, TypeError) as error:
            errors.append(ValueError(f"its answer lacks code or stdout ({error})"))
        except (OSError, ValueError) as error:
            errors.append(error)

    # A read from a pipe cannot be given a time limit, but a thread can be waited for.
    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    thread.join(REPLY_SECONDS)
    if thread.is_alive():
        raise TimeoutError(f"no answer for {REPLY_SECONDS:g} s")
    if errors:
        raise errors[0]
    return outcome[0]


def main() -> int:
    """Answer one call of the runtime; the exit status."""
    command = os.environ.get("CNI_COMMAND", "")
    stdin = sys.stdin.read()
    version = SUPPORTED_VERSIONS[-1]
    try:
        version = str(json.loads(stdin).get("cniVersion", version))
    except (ValueError, AttributeError) as error:
        if command != "VERSION":
            return failure(version, DECODING_FAILURE, "standard input is not a JSON network configuration", str(error))
    if command == "VERSION":
        print(json.dumps({"cniVersion": version, "supportedVersions": SUPPORTED_VERSIONS}))
        return 0
    # Names of variables come in upper case on Windows; CNI's are so anyway.
    environment = {name: value for name, value in os.environ.items() if name.startswith("CNI_")}
    try:
        code, stdout = ask({"env": environment, "stdin": stdin})
    except (OSError, ValueError) as error:
        absent = NOT_AVAILABLE if command == "STATUS" else TRY_AGAIN_LATER
        return failure(version, absent, "the service ovn-k8s does not answer; does it run?", str(error))
    if stdout:
        print(stdout)
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
