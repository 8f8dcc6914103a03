# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The node's subnet as the machine remembers it, so that a reboot needs no database.

One line, as "10.244.1.0/24". The role `overlay` writes it, and so does the node agent on a machine that joined by
itself: both take it from the databases, where it is decided.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

from ovn_k8s.core.addresses import AddressError, parse_network

from .errors import HostError

DEFAULT_RECORD = Path("/var/lib/ovn-k8s/node-subnet")


def read(path: Path) -> IPv4Network | None:
    """The subnet; None when nothing is recorded. Raises HostError for a file that cannot be understood."""
    try:
        network: IPv4Network = parse_network(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, AddressError, UnicodeDecodeError) as error:
        raise HostError(f"{path}: {error}; remove it, and the node agent writes it anew") from None
    return network


def write(path: Path, subnet: IPv4Network) -> None:
    """Replace what is recorded."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(f"{subnet}\n", encoding="ascii")
    temporary.chmod(0o644)
    temporary.replace(path)
