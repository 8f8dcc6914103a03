#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_report
short_description: Print the results of a verification as a table, write them to a file, and fail if one failed
version_added: 0.1.0
description:
  - Runs on the control machine. Prints one line for each check, then what to look at for each that failed.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  results:
    description: The lines, as the other C(verify_) modules return them.
    type: list
    elements: dict
    required: true
  file:
    description: JSON file on the control machine that gets the same. Empty writes none.
    type: path
    default: ''
  cluster:
    description: Name of the cluster, for the file.
    type: str
    default: ''
  begun:
    description: When the verification began, in seconds since 1970.
    type: float
    default: 0
attributes:
  action:
    support: full
    description: An action plugin does all of the work.
  check_mode:
    support: full
    description: Prints the same and writes no file.
  diff_mode:
    support: none
    description: There is nothing to compare.
  platform:
    support: full
    platforms: posix
    description: Runs on the control machine.
"""

EXAMPLES = r"""
- name: Check the node
  ovn_k8s.cluster.verify_node:
    node: linux1
    address: 192.0.2.12
  register: checked

- name: Report
  ovn_k8s.cluster.verify_report:
    results: "{{ checked.results }}"
    file: verify-report.json
"""

RETURN = r"""
ok:
  description: How many checks are ok.
  returned: always
  type: int
failed_checks:
  description: How many checks failed.
  returned: always
  type: int
file:
  description: Path of the file that was written.
  returned: with O(file), but in check mode
  type: str
"""
