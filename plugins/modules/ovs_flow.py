#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_flow
short_description: Manage OpenFlow flows of an Open vSwitch bridge
version_added: 0.1.0
description:
  - Makes the flows of a bridge that carry a cookie exactly those of a list. Flows are added and removed in one OpenFlow
    bundle, so packets meet either the old set or the new one; flows that stay keep their counters.
  - The cookie says whose the flows are. Flows of other cookies are never changed; a flow that would take the place of
    one is an error.
  - It speaks OpenFlow 1.4 to the bridge itself, without running C(ovs-ofctl). Flows do not outlive C(ovs-vswitchd) by
    themselves, run this again when it was restarted.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._connection.open_vswitch
  - ovn_k8s.cluster._connection
  - ovn_k8s.cluster._connection.assume_empty
  - ovn_k8s.cluster._attributes
  - ovn_k8s.cluster._attributes.ovs
options:
  bridge:
    description:
      - Name of the bridge.
    type: str
    required: true
  cookie:
    description:
      - The cookie of the flows, a number from 1 to 0xffffffffffffffff in decimal or hexadecimal. V(0) is what flows
        have that nobody marked.
    type: str
    required: true
  flows:
    description:
      - All flows that shall carry the cookie, each written as for C(ovs-ofctl add-flow), as
        V(table=0,priority=100,tcp,nw_dst=192.0.2.0/24,tp_dst=80,actions=output:eth1). Ports can be named.
      - 'Fields: in_port, metadata, eth_* (dl_*), dl_vlan, vlan_*, ip_*, nw_*, tp_*, tcp_*, udp_*, sctp_*, icmp_*,
        icmpv6_*, arp_*, ipv6_*, nd_*, tun_id, tun_src, tun_dst, reg0 to reg15, pkt_mark, conj_id, ct_*.'
      - 'Actions: output, NORMAL, FLOOD, ALL, LOCAL, IN_PORT, CONTROLLER, drop, goto_table, resubmit, set_field, move,
        mod_dl_src and its kind, push_vlan, pop_vlan, dec_ttl, set_queue, group, meter, write_metadata, conjunction,
        ct with nat and exec, ct_clear.'
      - Timeouts are not taken, since the flows shall stay.
      - In check mode the switch looks at each flow, too. That a group or a meter is missing shows in the run only.
    type: list
    elements: str
    default: []
  state:
    description:
      - With V(present) the flows are those of O(flows). With V(absent) there is none of this cookie.
    type: str
    choices: [present, absent]
    default: present
  socket:
    description:
      - Unix socket of the bridge. Unless given, C(<bridge>.mgmt) beside the database's socket in O(remote).
    type: path
seealso:
  - module: ovn_k8s.cluster.ovs_bridge
  - name: ovs-ofctl(8)
    description: How flows are written.
    link: https://docs.openvswitch.org/en/latest/ref/#man-pages
"""

EXAMPLES = r"""
- name: The bridge
  ovn_k8s.cluster.ovs_bridge:
    bridges:
      - name: br-edge
        fail_mode: secure

- name: The machine answers on one port only, all else is switched
  ovn_k8s.cluster.ovs_flow:
    bridge: br-edge
    cookie: "0x6564676500000001"
    flows:
      - priority=200,tcp,tp_dst=22,actions=LOCAL
      - priority=100,arp,actions=NORMAL
      - priority=0,actions=drop

- name: Its flows are gone
  ovn_k8s.cluster.ovs_flow:
    bridge: br-edge
    cookie: "0x6564676500000001"
    state: absent
"""

RETURN = r"""
flows:
  description: How many flows carry the cookie now; in check mode, would.
  returned: success
  type: int
  sample: 3
added:
  description: The flows that were added or changed, with the names of the fields that the module uses itself.
  returned: success
  type: list
  elements: str
  sample: ["table=0,priority=0,actions=drop"]
removed:
  description: The flows that were removed.
  returned: success
  type: list
  elements: str
  sample: []
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.database_module import (
    OPEN_VSWITCH,
    connect,
    create,
    fail,
    remotes_of,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow.channel import Channel, ChannelError, Refused
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow.fields import FlowError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow.flows import Flow, parse, text_of
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow.messages import ADD
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.openflow.wire import (
    DELETE_STRICT,
    Stored,
    delete_all,
    flow_mod,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import ConnectionFailed, OvsdbError

OPTIONS = {
    "bridge": {"type": "str", "required": True},
    "cookie": {"type": "str", "required": True},
    "flows": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "socket": {"type": "path"},
}
PROTOCOL = "OpenFlow14"


@dataclass(frozen=True)
class Difference:
    """What has to change: flows to add (or put in the place of what they replace) and to remove, and who is there."""

    add: tuple[Flow, ...]
    remove: tuple[Stored, ...]
    before: tuple[Stored, ...]


def read_cookie(text: str) -> int:
    """The cookie's number.

    Raises:
        FlowError: it is none, or the one that everybody has.
    """
    try:
        value = int(text, 0)
    except ValueError:
        raise FlowError(f"cookie {text!r} is no number") from None
    if not 0 < value < 1 << 64:
        raise FlowError(f"cookie {text} is outside 1 to 0xffffffffffffffff")
    return value


def read_flows(texts: Iterable[str], ports: Mapping[str, int]) -> list[Flow]:
    """The flows.

    Raises:
        FlowError: one is not understood, or two are about the same packets.
    """
    flows: dict[Any, tuple[str, Flow]] = {}
    for text in texts:
        flow = parse(text, ports)
        if flow.key in flows:
            raise FlowError(
                f"flow {text!r} matches what {flows[flow.key][0]!r} does, at the same priority; leave one out"
            )
        flows[flow.key] = (text, flow)
    return [flow for _sign, flow in flows.values()]


def compare(wanted: list[Flow], stored: list[Stored], cookie: int, names: Mapping[int, str]) -> Difference:
    """What has to change.

    Raises:
        FlowError: a flow would take the place of another cookie's.
    """
    ours = [item for item in stored if item.cookie == cookie]
    have = {item.flow for item in ours}
    keys = {flow.key: flow for flow in wanted}
    for item in stored:
        if item.cookie != cookie and item.flow and item.flow.key in keys:
            raise FlowError(
                f"flow {text_of(keys[item.flow.key], names)!r} would take the place of one with the cookie "
                f"{item.cookie:#x}; choose another priority or table, or remove that one first"
            )
    remove = tuple(item for item in ours if item.flow is None or item.flow.key not in keys)
    return Difference(tuple(flow for flow in wanted if flow not in have), remove, tuple(ours))


def carry_out(
    channel: Channel, difference: Difference, wanted: list[Flow], cookie: int, names: Mapping[int, str], *, check: bool
) -> None:
    """Change the flows in one bundle; in check mode only have the switch look at it.

    Raises:
        FlowError: the switch does not take a flow.
        ChannelError: it cannot be asked.
    """
    flows = difference.add
    remove = [item.flow for item in difference.remove if item.flow]
    if len(remove) < len(difference.remove):
        # A flow that cannot be named by its match goes with all of the cookie, and the others come anew.
        deletions, flows = [partial(delete_all, cookie=cookie)], tuple(wanted)
    else:
        deletions = [partial(flow_mod, command=DELETE_STRICT, cookie=cookie, flow=flow) for flow in remove]
    additions = [partial(flow_mod, command=ADD, cookie=cookie, flow=flow) for flow in flows]
    try:
        channel.bundle([*deletions, *additions], commit=not check)
    except Refused as error:
        position = error.position - len(deletions)
        if not 0 <= position < len(flows):
            raise
        raise FlowError(f"flow {text_of(flows[position], names)!r}: {error}") from None


def socket_of(module: AnsibleModule) -> str:
    """Where the bridge listens.

    Raises:
        ConnectionFailed: the database is remote, so nothing is known about it.
    """
    if module.params["socket"]:
        return str(module.params["socket"])
    remote = remotes_of(module, OPEN_VSWITCH)[0]
    if remote.scheme != "unix":
        raise ConnectionFailed(
            f"{remote}: a bridge is reached through its socket on its own machine; run there, or give the option socket"
        )
    return str(Path(remote.address).parent / f"{module.params['bridge']}.mgmt")


def check_bridge(module: AnsibleModule) -> str | None:
    """What is wrong with the bridge, from the database."""
    name = module.params["bridge"]
    with connect(module, OPEN_VSWITCH) as client:
        bridge = client.snapshot({"Bridge": ["name", "protocols"]}).find("Bridge", name)
    if bridge is None:
        return f"Bridge {name!r} does not exist; create it first"
    protocols = bridge.columns["protocols"]
    if protocols and PROTOCOL not in protocols:
        spoken = ", ".join(sorted(protocols))
        return f"Bridge {name!r} does not speak {PROTOCOL} (it has {spoken}); add it to the bridge's protocols"
    return None


def refused(module: AnsibleModule, why: str) -> NoReturn:
    """End the module: nothing was changed."""
    module.fail_json(msg=f"Bridge {module.params['bridge']!r}: nothing was changed: {why}")
    raise AssertionError("unreachable")


def to_come(module: AnsibleModule, wanted: list[str], cookie: int) -> None:
    """End the module in check mode when the bridge would be made earlier in the same run."""
    module.exit_json(
        changed=bool(wanted),
        flows=len(wanted),
        added=wanted,
        removed=[],
        diff={"before": {}, "after": {f"{cookie:#x}": wanted} if wanted else {}},
    )


def main() -> None:
    module = create(OPTIONS, OPEN_VSWITCH.remote)
    params = module.params
    texts = params["flows"] if params["state"] == "present" else []
    try:
        cookie, path = read_cookie(params["cookie"]), socket_of(module)
        if module.check_mode and params["assume_empty"] and not Path(path).exists():
            to_come(module, texts, cookie)
        wrong = check_bridge(module)
    except FlowError as error:
        refused(module, str(error))
    except OvsdbError as error:
        fail(module, OPEN_VSWITCH, error)
    if wrong:
        refused(module, wrong)
    try:
        with Channel(path, params["timeout"]) as channel:
            result = converge(module, channel, texts, cookie)
    except (FlowError, ChannelError) as error:
        refused(module, str(error))
    module.exit_json(**result)


def converge(module: AnsibleModule, channel: Channel, texts: list[str], cookie: int) -> dict[str, Any]:
    """Make the flows as wanted; what the module reports."""
    ports = {name: port.number for name, port in channel.ports().items()}
    names = {number: name for name, number in ports.items()}
    wanted = read_flows(texts, ports)
    difference = compare(wanted, channel.all_flows(), cookie, names)
    changed = bool(difference.add or difference.remove)
    if changed:
        carry_out(channel, difference, wanted, cookie, names, check=module.check_mode)

    def shown(stored: Stored) -> str:
        return (
            text_of(stored.flow, names)
            if stored.flow
            else f"table={stored.table},priority={stored.priority},(not known here)"
        )

    before = sorted(shown(item) for item in difference.before) if changed else []
    after = sorted(text_of(flow, names) for flow in wanted) if changed else []
    title = f"{cookie:#x}"
    return {
        "changed": changed,
        "flows": len(wanted),
        "added": [text_of(flow, names) for flow in difference.add],
        "removed": [shown(item) for item in difference.remove],
        "diff": {"before": {title: before} if before else {}, "after": {title: after} if after else {}},
    }


if __name__ == "__main__":
    main()
