# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Whose the rows are that a module manages. Private to the collection: may change in any release."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  owner:
    description:
      - Written to C(external_ids:ovn-k8s-owner) of every row that is made. A row of another owner is never changed or
        removed; to name one is an error.
      - An empty string manages rows that nobody owns.
    type: str
    default: ''
"""
