#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Documentation of `windows_host`; the action plugin of the same name carries it out."""

from __future__ import annotations

DOCUMENTATION = r"""
module: windows_host
short_description: Keep files, firewall rules and services of a Windows host, many in one task
version_added: 0.1.0
author: the ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._windows
description:
  - Writes folders and files, then firewall rules, then makes services and starts them, in this order. A service is
    started again when its command, its environment or a file that it reads is not what it was started with.
  - Everything is recorded on the host, so that O(state=reset) undoes exactly that. Files that were there before come
    back.
options:
  state:
    description: V(reset) removes all that was ever made by this module; other options have no meaning then.
    type: str
    choices: [present, reset]
    default: present
  directories:
    description: Folders.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The folder. Those above it are made too.
        type: str
        required: true
      private:
        description: Made for administrators and SYSTEM only. A folder that is there already keeps its rights.
        type: bool
        default: false
  files:
    description: Files, each from exactly one source.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file. One that is running is renamed and replaced.
        type: str
        required: true
      content:
        description: Its text.
        type: str
      template:
        description: Template on the control machine.
        type: str
      src:
        description: File on the control machine. A large one is sent only to a host that has another.
        type: str
      sensitive:
        description: Leaves the content out of the diff.
        type: bool
        default: false
  absent:
    description: Files that shall not be there; only those that this module made.
    type: list
    elements: str
    default: []
  firewall:
    description: Rules that let packets in.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the rule.
        type: str
        required: true
      protocol:
        description: Protocol.
        type: str
        choices: [tcp, udp]
        required: true
      ports:
        description: Ports, as netsh takes them.
        type: str
        required: true
      remote:
        description: Who may send them, as netsh takes it.
        type: str
        default: any
      description:
        description: For people.
        type: str
        default: ""
      state:
        description: Whether the rule is there.
        type: str
        choices: [present, absent]
        default: present
  services:
    description: Services, in the order to start them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the service.
        type: str
        required: true
      command:
        description: Its command line. Needed unless it shall be absent.
        type: str
        default: ""
      display_name:
        description: Its name for people.
        type: str
        default: ""
      description:
        description: What it does.
        type: str
        default: ""
      depends:
        description: Services that have to run for it.
        type: list
        elements: str
        default: []
      start:
        description: When it starts.
        type: str
        choices: [auto, delayed, manual]
        default: auto
      environment:
        description: Variables of its environment.
        type: dict
        default: {}
      recovery_ms:
        description: After how many milliseconds it is started again when it fails the first, second and further time.
        type: list
        elements: int
        default: [1000, 5000, 30000]
      reads:
        description: Files that it reads at its start.
        type: list
        elements: str
        default: []
      log:
        description: File that says why it does not start.
        type: str
        default: ""
      state:
        description: What it shall be.
        type: str
        choices: [started, stopped, absent]
        default: started
  prune:
    description: Removes versions of the bundle that nobody uses any more.
    type: bool
    default: false
  ctr:
    description: Path of containerd's C(ctr.exe) on the host, to end containers with; for O(state=reset) only.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says what would change. Where the bundle is not there yet, only that something would.
    support: full
  diff_mode:
    description: Shows texts that are not sensitive, and settings of services.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: A program as a service, with its settings
  ovn_k8s.cluster.windows_host:
    files:
      - path: C:\ProgramData\exporter\exporter.yml
        content: |
          collectors:
            enabled: cpu,memory,net
    firewall:
      - name: exporter
        protocol: tcp
        ports: "9182"
    services:
      - name: exporter
        command: '"C:\Program Files\exporter\exporter.exe" --config C:\ProgramData\exporter\exporter.yml'
        reads: ['C:\ProgramData\exporter\exporter.yml']
"""

RETURN = r"""
changes:
  description: What was (in check mode, would be) done.
  type: list
  elements: str
  returned: success
hns:
  description: Whether the host has a Host Networking Service.
  type: bool
  returned: with O(state=reset)
datapath:
  description: The datapath of the node that the host was, V(hybrid_overlay) or V(ovs); empty when nothing tells.
  type: str
  returned: with O(state=reset)
"""
