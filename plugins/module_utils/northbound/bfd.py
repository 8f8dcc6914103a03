# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""BFD sessions (ovn-nb(5), BFD)."""

from __future__ import annotations

from .forms import ADDRESS
from .kind import Kind, Option, external_ids, raw_map

KIND = Kind(
    module="ovn_bfd",
    plural="sessions",
    section="bfd_sessions",
    table="BFD",
    text="The sessions.",
    key=("logical_port", "dst_ip"),
    options=(
        Option("logical_port", "Name of the logical router port that the session uses.", needed=True),
        Option("dst_ip", "Address of the peer.", form=ADDRESS, needed=True),
        Option("min_tx", "Shortest time between two messages that are sent, in milliseconds, from 1.", type="int"),
        Option("min_rx", "Shortest time between two messages that are taken, in milliseconds.", type="int"),
        Option("detect_mult", "Messages that may be lost before the peer is down, from 1.", type="int"),
        raw_map("options"),
        external_ids(),
    ),
)
