# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What can be wrong with a machine."""

from __future__ import annotations


class HostError(Exception):
    """The host part cannot be applied; the message names the interface or file, the cause and the next step."""
