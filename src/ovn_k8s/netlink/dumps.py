# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Reading whole tables of the kernel while others write to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

Result = TypeVar("Result")
ATTEMPTS = 50
_PAUSE_S = 0.01


def undisturbed(read: Callable[[], Result]) -> Result:
    """What `read` returns, which it takes from dumps of the kernel.

    The kernel sends a table in parts and says when it has changed meanwhile (NLM_F_DUMP_INTR, netlink(7)): then some
    entries may be missing or there twice, and it has to be read again. Where daemons and network managers work
    beside us, that is common.

    Raises:
        NetlinkDumpInterrupted: it has changed during each of many attempts.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return read()
        except NetlinkDumpInterrupted:
            time.sleep(_PAUSE_S)
    return read()
