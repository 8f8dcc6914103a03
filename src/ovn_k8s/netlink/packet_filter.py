# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The kernel's packet filter, through nft(8), and the tables in it that are this project's."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

GATEWAY_TABLE = "ovn_k8s_gateway"
"""Of the families ip and netdev: the gateway helper's; the latter keeps the kernel off the frames of a NIC."""
_TIMEOUT_S = 10


class FilterError(Exception):
    """nft refused, or is not there; the message says which."""


def load(rules: str) -> None:
    """Have nft carry out rules in its own language, all of them or none.

    Raises:
        FilterError: it did not.
    """
    try:
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True, check=True, timeout=_TIMEOUT_S)
    except FileNotFoundError:
        raise FilterError("nft is not there; the package nftables has it") from None
    except subprocess.TimeoutExpired:
        raise FilterError(f"nft: no end within {_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as error:
        raise FilterError(f"nft: {error.stderr.strip().splitlines()[0] if error.stderr else error}") from None


def comments(family: str, table: str) -> list[str] | None:
    """The comments of a table's rules, in order; empty for a rule without. None: there is no such table, or no nft."""
    try:
        listed = subprocess.run(
            ["nft", "list", "table", family, table], text=True, capture_output=True, check=True, timeout=_TIMEOUT_S
        )
    except (FileNotFoundError, subprocess.SubprocessError):
        return None
    # Two tabs deep lie the rules of a chain, behind its type.
    lines = re.findall(r"^\t\t(?!type )(.+)$", listed.stdout, re.MULTILINE)
    return [found[1] if (found := re.search(r'comment "([^"]*)"$', line)) else "" for line in lines]


def hear_again(run: Callable[[str], None] = load) -> None:
    """Let the kernel have the frames of its NIC again, which is in the gateway's bridge no longer.

    Raises:
        FilterError: nft refused, or is not there; then there is nothing to take away.
    """
    run(f"add table netdev {GATEWAY_TABLE}\ndelete table netdev {GATEWAY_TABLE}\n")
