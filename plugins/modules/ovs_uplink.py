#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Module `ovs_uplink`: see DOCUMENTATION. Its action plugin of the same name confirms moves over a new connection."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_uplink
short_description: Move a network interface onto a bridge of Open vSwitch, and back
version_added: 0.1.0
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
description:
  - Moves an interface with all its addresses, routes, rules, DNS settings and its MTU onto a bridge, even the one that
    Ansible comes in by, and tells the network manager that has it (systemd-networkd, netplan, NetworkManager or
    ifupdown) so that it stays that way after a reboot.
  - The host does it by itself and puts everything back unless the controller confirms over a new connection, within
    O(confirm_within) seconds, that it still gets in. A host that restarts meanwhile has its old network again.
  - Needs C(ovn-k8s-overlay) on the host, see M(ovn_k8s.cluster.programs), and Open vSwitch running.
attributes:
  check_mode:
    description: Can run in check mode and say what would change.
    support: full
  diff_mode:
    description: Shows what is changed, line by line.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
  platform:
    description: Hosts that it works on.
    support: full
    platforms: linux
options:
  interface:
    description: The interface.
    type: str
    required: true
  bridge:
    description: Name of the bridge, at most 15 characters. Empty means C(br) and the interface's name.
    type: str
    default: ''
  datapath_type:
    description: What forwards the packets of a new bridge. Empty means the same as for C(br-int).
    type: str
    choices: ['', system, netdev]
    default: ''
  default_route:
    description: Whether to refuse an interface without default route, which is not the host's way out.
    type: bool
    default: true
  confirm_within:
    description: Seconds after which the host undoes a move that nobody has confirmed.
    type: int
    default: 30
  state:
    description: V(absent) gives the interface back what the bridge has.
    type: str
    choices: [present, absent]
    default: present
  step:
    description: Filled in by the action plugin.
    type: str
    choices: [move, confirm, status]
    default: move
seealso:
  - module: ovn_k8s.cluster.ovs_bridge
"""

EXAMPLES = r"""
- name: Share the interface that people log in by
  ovn_k8s.cluster.ovs_uplink:
    interface: eth0

- name: Give it back
  ovn_k8s.cluster.ovs_uplink:
    interface: eth0
    state: absent
"""

RETURN = r"""
bridge:
  description: Name of the bridge.
  type: str
  returned: with O(state=present), and when the interface was in a bridge
manager:
  description: What configures the addresses, or V(nobody).
  type: str
  returned: when the interface is or was in a bridge, unless check mode finds no programs on the host
nic:
  description: Name of the interface.
  type: str
  returned: with O(state=absent), when the interface was in a bridge
changes:
  description: What was changed, in words; in check mode, what would be.
  type: list
  elements: str
  returned: success
seconds:
  description: Seconds from the begin of the move until the confirmation was taken.
  type: float
  returned: when the interface was moved
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

PROGRAM = "/usr/local/bin/ovn-k8s-overlay"


def _command(parameters: dict[str, Any], check: bool) -> list[str]:
    interface = parameters["interface"]
    if parameters["step"] != "move":
        return [PROGRAM, "uplink", parameters["step"], interface, "--json"]
    common = ["--json", f"--confirm-within={parameters['confirm_within']}", *(["--check"] if check else [])]
    if parameters["state"] == "absent":
        return [PROGRAM, "bridge-to-nics", interface, *common]
    options = [f"--bridge={parameters['bridge']}", f"--datapath-type={parameters['datapath_type']}"]
    options += [] if parameters["default_route"] else ["--no-default-route"]
    return [PROGRAM, "nics-to-bridge", interface, *options, *common]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "interface": {"type": "str", "required": True},
            "bridge": {"type": "str", "default": ""},
            "datapath_type": {"type": "str", "choices": ["", "system", "netdev"], "default": ""},
            "default_route": {"type": "bool", "default": True},
            "confirm_within": {"type": "int", "default": 30},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "step": {"type": "str", "choices": ["move", "confirm", "status"], "default": "move"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    if parameters["confirm_within"] < 5:
        module.fail_json(
            msg=f"confirm_within {parameters['confirm_within']}: a new connection takes longer, use 5 or more"
        )
    absent = parameters["state"] == "absent"
    if not Path(PROGRAM).exists():
        if absent:
            module.exit_json(changed=False, changes=[], pending=False)
        if not module.check_mode:
            module.fail_json(msg=f"{PROGRAM} is not there: install it with ovn_k8s.cluster.programs first")
        bridge = parameters["bridge"] or f"br{parameters['interface']}"
        changes = [f"Bridge {bridge}: created", f"{parameters['interface']}: moved there"]
        module.exit_json(changed=True, changes=changes, bridge=bridge, pending=False, diff=_diff(changes))
    status, out, err = module.run_command(_command(parameters, module.check_mode))
    try:
        answer = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        answer = {"failed": True, "error": err.strip() or f"{PROGRAM} ended with status {status}"}
    if answer.get("failed"):
        module.fail_json(msg=f"ovs_uplink: {answer['error']}", again=bool(answer.get("again")))
    module.exit_json(**answer, diff=_diff(answer["changes"]))


def _diff(changes: list[str]) -> dict[str, str]:
    return {"before": "", "after": "".join(f"{change}\n" for change in changes)}


if __name__ == "__main__":
    main()
