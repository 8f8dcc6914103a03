# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The named pipe between the CNI executable and the service: its name, and its messages.

One exchange for a connection. Both ways: 4 bytes length, little endian, then JSON; the contents are those of
`ovn_k8s.cni.shim`: `{"env": {CNI_* variables}, "stdin": "…"}` and `{"code": 0 or a CNI error code, "stdout": "…"}`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

PIPE = r"\\.\pipe\ovn-k8s-cni"
LONGEST = 4 << 20
HEADER = struct.Struct("<I")


def packed(message: Any) -> bytes:
    """A message as it goes through the pipe."""
    content = json.dumps(message).encode()
    return HEADER.pack(len(content)) + content


def received(read: Callable[[int], bytes]) -> Any:
    """Read one message; `read(n)` gives at most n bytes, and none at the end.

    Raises:
        ValueError: that is no message.
    """
    (length,) = HEADER.unpack(_exactly(read, HEADER.size))
    if length > LONGEST:
        raise ValueError(f"a message of {length} bytes, and {LONGEST} is the most")
    return json.loads(_exactly(read, length))


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    collected = bytearray()
    while len(collected) < count:
        part = read(count - len(collected))
        if not part:
            raise ValueError(f"the pipe was closed after {len(collected)} of {count} bytes")
        collected += part
    return bytes(collected)
