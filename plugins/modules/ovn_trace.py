#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_trace
short_description: Ask what OVN does with a packet
version_added: 0.1.0
description:
  - Simulates a packet in the logical network and returns its way as data, for C(ansible.builtin.assert) in plays.
  - No packet is sent. It shows what the logical flows say; whether the chassis do that is another matter.
  - This is the one module of the family that runs a program, C(ovn-trace), because the simulator is no library.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
requirements:
  - The program C(ovn-trace) on the target; distributions have it in their package ovn-common.
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.southbound
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._attributes.info
  - ovn_k8s.cluster._attributes.ovn
options:
  datapath:
    description:
      - Name or UUID of the switch or router where the packet enters. Found by the port unless given.
    type: str
  packet:
    description:
      - The packet, as an expression of OVN's language for matches that determines its fields, as
        V(inport == "default_web" && eth.src == 0a:58:0a:f4:01:03 && ip4.dst == 10.96.0.1 && ip.ttl == 64 && tcp).
    type: str
    required: true
  conntrack:
    description:
      - States that the connection has at each C(ct_next) in turn, as V(trk,est). New to OVN unless given.
    type: list
    elements: str
    default: []
  load_balancer:
    description:
      - The address, or address:port, that load balancers choose. Any of theirs unless given.
    type: str
seealso:
  - module: ovn_k8s.cluster.ovn_sb_info
  - name: ovn-trace(8)
    description: How packets are described, and what the answer means.
    link: https://www.ovn.org/support/dist-docs/ovn-trace.8.html
"""

EXAMPLES = r"""
- name: What happens to a packet between two ports of a switch
  ovn_k8s.cluster.ovn_trace:
    packet: >-
      inport == "web" && eth.src == 0a:58:0a:00:00:02 && eth.dst == 0a:58:0a:00:00:03
      && ip4.src == 10.0.0.2 && ip4.dst == 10.0.0.3 && ip.ttl == 64 && tcp.dst == 5432
  register: trace

- name: It arrives
  ansible.builtin.assert:
    that:
      - trace.outputs | map(attribute='port') == ['database']
    fail_msg: "dropped in {{ trace.pipelines[-1].steps[-1].table }}"
"""

RETURN = r"""
outputs:
  description: Where the packet leaves the logical network, C(port) and C(type), in order. Empty when it is dropped.
  returned: success
  type: list
  elements: dict
  sample:
    - port: database
      type: ""
dropped:
  description: Whether the packet comes out nowhere.
  returned: success
  type: bool
  sample: false
pipelines:
  description:
    - Its way, each C(ingress) or C(egress) pipeline with the logical flows that it took; C(priority) is null in the
      last table when no flow took it.
  returned: success
  type: list
  elements: dict
  sample:
    - pipeline: ingress
      datapath: web-tier
      inport: web
      outport: ""
      steps:
        - table: ls_in_l2_lkup
          number: 25
          match: eth.dst == 0a:58:0a:00:00:03
          priority: 50
          actions: ['outport = "database"', output]
text:
  description: The answer of C(ovn-trace) as it is.
  returned: success
  type: str
  sample: ""
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import (
    SOUTHBOUND,
    connect,
    create,
    fail,
    remotes_of,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import OvsdbError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.trace_text import parse

OPTIONS = {
    "datapath": {"type": "str"},
    "packet": {"type": "str", "required": True},
    "conntrack": {"type": "list", "elements": "str", "default": []},
    "load_balancer": {"type": "str"},
}


def command(module: AnsibleModule, program: str) -> list[str]:
    """The program with its arguments; the packet is one of them, whatever is in it."""
    params: dict[str, Any] = module.params
    remotes = ",".join(map(str, remotes_of(module, SOUTHBOUND)))
    arguments = [program, f"--db={remotes}", "--detailed"]
    if params["private_key"]:
        arguments += [f"--private-key={params['private_key']}", f"--certificate={params['certificate']}"]
        arguments += [f"--ca-cert={params['ca_certificate']}"]
    arguments += [f"--ct={states}" for states in params["conntrack"]]
    if params["load_balancer"]:
        arguments.append(f"--lb-dst={params['load_balancer']}")
    return [*arguments, "--", *([params["datapath"]] if params["datapath"] else []), params["packet"]]


def main() -> None:
    module = create(OPTIONS, SOUTHBOUND.remote, writes=False)
    program = module.get_bin_path("ovn-trace", required=False)
    if program is None:
        module.fail_json(msg="there is no program ovn-trace here; install the package ovn-common")
    try:
        connect(module, SOUTHBOUND).close()  # says what is wrong with the remote; the program would only wait
        code, out, err = module.run_command(command(module, program))
    except OvsdbError as error:
        fail(module, SOUTHBOUND, error)
    trace = parse(out)
    if code or not trace.pipelines:
        why = (err or out).strip().splitlines()
        module.fail_json(
            msg=f"ovn-trace cannot follow {module.params['packet']!r}: {why[-1] if why else code}", text=out
        )
    module.exit_json(changed=False, dropped=not trace.outputs, text=out, **trace.described())


if __name__ == "__main__":
    main()
