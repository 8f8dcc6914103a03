#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `windows_bundle`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: windows_bundle
short_description: Bring this collection's programs, with a Python of their own, to a Windows host
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Puts the embeddable CPython, pywin32 and the programs of this collection together on the control machine, from
    pinned parts whose digests are checked, and copies them to a folder of their own version on the host. Nothing else
    of the host is used or changed; no Python is needed there.
  - The launchers in O(program_dir)\bin are replaced when the version is whole. Versions that nobody uses any more are
    removed by M(ovn_k8s.cluster.windows_host) with its option O(ovn_k8s.cluster.windows_host#module:prune).
options:
  program_dir:
    description: Folder of all versions on the host.
    type: str
    default: 'C:\Program Files\ovn-k8s'
  parts_dir:
    description:
      - Folder on the control machine with the parts, where they cannot be fetched. What is not in it is looked for in
        O(cache_dir), then on python.org and PyPI.
    type: path
  cache_dir:
    description: Folder on the control machine that keeps what was fetched.
    type: path
    default: ~/.cache/ovn-k8s
requirements:
  - ansible.windows on the control machine
attributes:
  check_mode:
    description: Says whether the version has to be brought.
    support: full
  diff_mode:
    description: There is nothing to show of programs.
    support: none
  idempotent:
    description: A second run copies nothing.
    support: full
  platform:
    description: Hosts that it works on.
    support: full
    platforms: windows
"""

EXAMPLES = r"""
- name: Bring the programs
  ovn_k8s.cluster.windows_bundle:
"""

RETURN = r"""
version:
  description: Name of the version that this collection makes.
  type: str
  returned: always
program_dir:
  description: Folder of this version on the host, with C(python.exe).
  type: str
  returned: always
installed:
  description: Whether it is there (in check mode, whether it is there already).
  type: bool
  returned: always
"""
