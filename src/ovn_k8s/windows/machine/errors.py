# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What can go wrong on the machine, in words for people."""

from __future__ import annotations


class MachineError(Exception):
    """Something could not be done; the message names the object, the cause and, where there is one, the next step."""
