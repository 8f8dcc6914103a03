# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Why a NIC cannot be moved, or was not."""

from __future__ import annotations

from ovn_k8s.host.errors import HostError


class UplinkError(HostError):
    """The move is refused or was undone; the message names the interface, the cause and the next step."""


class NotYet(UplinkError):
    """To be tried again from a new connection."""
