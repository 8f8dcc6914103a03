# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Attributes that modules of this collection share. Private to the collection: may change in any release."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Reports what a run would change and changes nothing.
  diff_mode:
    support: full
    description: Shows each row that changes, with its columns before and after.
  idempotent:
    support: full
    description: A second run with the same options changes nothing, unless somebody else did meanwhile.
  platform:
    support: full
    platforms: linux
    description: Needs Python 3.11 or newer on the target and nothing beside its standard library.
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Does not change anything, in check mode or out of it.
  diff_mode:
    support: N/A
    description: Does not change anything.
  idempotent:
    support: full
    description: Does not change anything.
  platform:
    support: full
    platforms: linux
    description: Needs Python 3.11 or newer on the target and nothing beside its standard library.
"""

    OVN = r"""
options: {}
attributes:
  action_group:
    support: full
    description: Use C(group/ovn_k8s.cluster.ovn) in C(module_defaults) to say once how the database is reached.
    membership:
      - ovn_k8s.cluster.ovn
"""

    OVS = r"""
options: {}
attributes:
  action_group:
    support: full
    description: Use C(group/ovn_k8s.cluster.ovs) in C(module_defaults) to say once how the database is reached.
    membership:
      - ovn_k8s.cluster.ovs
"""
