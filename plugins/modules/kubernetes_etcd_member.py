#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_etcd_member
short_description: Have an etcd cluster expect a member
version_added: 0.1.0
description:
  - Run on a machine whose etcd runs. Makes the list of the cluster's members say that the member O(name) is reached at
    O(peer_url), so that it can join, or be found at a new address.
  - A member that lost its data is another one than before; with O(fresh=true) the lost one is taken off the list first.
    Start etcd on the new member soon after that, and before the next one is added, because a member counts from the
    moment that it is on the list.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
options:
  name:
    description: Name of the member.
    type: str
    required: true
  peer_url:
    description: Where the other members reach it, as V(https://192.0.2.12:2380).
    type: str
    required: true
  fresh:
    description: Whether the member has no data, and so joins. Otherwise it is one already.
    type: bool
    default: false
  members:
    description:
      - All members that the cluster has or shall have, with their names as keys and their peer URLs as values. Members
        that are not among them are lost, and are taken off the list. One that has not started has no name, and is told
        by its URL.
      - Without it all others stay.
    type: dict
  etcdctl:
    description: The client on the machine.
    type: path
    default: /usr/local/bin/etcdctl
  endpoint:
    description: The etcd that is asked.
    type: str
    default: https://127.0.0.1:2379
  ca_certificate:
    description: PEM file of the authority of the server's certificate. Empty for a server without TLS.
    type: path
  certificate:
    description: PEM file of a client certificate.
    type: path
  private_key:
    description: PEM file of its key.
    type: path
attributes:
  check_mode:
    support: full
    description: Says what would change.
  diff_mode:
    support: full
    description: Shows the members before and after.
  idempotent:
    support: full
    description: A member that is expected and has not started yet is not added again.
  platform:
    support: full
    platforms: linux
    description: Runs where etcdctl is.
"""

EXAMPLES = r"""
- name: A machine that was set up anew joins again
  ovn_k8s.cluster.kubernetes_etcd_member:
    name: master2
    peer_url: https://192.0.2.12:2380
    fresh: true
    ca_certificate: /etc/kubernetes/pki/etcd-ca.crt
    certificate: /etc/kubernetes/pki/apiserver-etcd-client.crt
    private_key: /etc/kubernetes/pki/apiserver-etcd-client.key
  delegate_to: master1

- name: Of three masters one is gone for good, and another one will be in its place
  ovn_k8s.cluster.kubernetes_etcd_member:
    name: master1
    peer_url: https://192.0.2.11:2380
    members:
      master1: https://192.0.2.11:2380
      master2: https://192.0.2.12:2380
      master4: https://192.0.2.14:2380
    ca_certificate: /etc/kubernetes/pki/etcd-ca.crt
    certificate: /etc/kubernetes/pki/apiserver-etcd-client.crt
    private_key: /etc/kubernetes/pki/apiserver-etcd-client.key
"""

RETURN = r"""
initial_cluster:
  description: What the member's C(--initial-cluster) has to be, when it starts for the first time.
  returned: success
  type: str
  sample: master1=https://192.0.2.11:2380,master2=https://192.0.2.12:2380
"""

import json
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

OPTIONS = {
    "name": {"type": "str", "required": True},
    "peer_url": {"type": "str", "required": True},
    "fresh": {"type": "bool", "default": False},
    "members": {"type": "dict"},
    "etcdctl": {"type": "path", "default": "/usr/local/bin/etcdctl"},
    "endpoint": {"type": "str", "default": "https://127.0.0.1:2379"},
    "ca_certificate": {"type": "path"},
    "certificate": {"type": "path"},
    "private_key": {"type": "path"},
}
RETRIES = ("unhealthy cluster", "too many learner", "leader changed", "request timed out")
ATTEMPTS = 20
PAUSE_S = 1.0


class Etcd:
    """The cluster, as etcdctl tells it."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        params = module.params
        self._command = [params["etcdctl"], f"--endpoints={params['endpoint']}", "--command-timeout=10s"]
        files = {"cacert": "ca_certificate", "cert": "certificate", "key": "private_key"}
        self._command += [f"--{flag}={params[name]}" for flag, name in files.items() if params[name]]

    def members(self) -> list[dict[str, Any]]:
        """The members: `id` as etcdctl takes it, `name` (empty while it has not started), `urls`."""
        listed = json.loads(self._run("member", "list", "--write-out=json"))["members"]
        return [{"id": f"{m['ID']:x}", "name": m.get("name", ""), "urls": m.get("peerURLs", [])} for m in listed]

    def run(self, *arguments: str) -> None:
        """Change the list, unless in check mode."""
        if not self._module.check_mode:
            self._run("member", *arguments)

    def _run(self, *arguments: str) -> str:
        for attempt in range(1, ATTEMPTS + 1):
            code, output, error = self._module.run_command([*self._command, *arguments])
            if code == 0:
                return str(output)
            # A cluster that has just grown waits until its newest member is in step.
            if attempt == ATTEMPTS or not any(text in error for text in RETRIES):
                break
            time.sleep(PAUSE_S)
        said = (error or output).strip().splitlines()[-1:] or ["no answer"]
        self._module.fail_json(
            msg=f"etcdctl {' '.join(arguments[:2])} at {self._module.params['endpoint']} failed: {said[0]}; "
            "does etcd run there, and do more than half of its members?"
        )
        raise AssertionError("unreachable")


def lost(member: dict[str, Any], members: dict[str, str] | None) -> bool:
    """Whether the cluster shall not have the member; `members` are those that it shall have, all when None."""
    if members is None:
        return False
    return member["name"] not in members if member["name"] else not set(member["urls"]) & set(members.values())


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    name, url = module.params["name"], module.params["peer_url"]
    etcd = Etcd(module)
    before = etcd.members()
    after = [dict(member) for member in before]
    changed = False
    for member in before:
        if lost(member, module.params["members"]):
            etcd.run("remove", member["id"])
            after.remove(member)
            changed = True
    mine = [member for member in after if member["name"] == name or url in member["urls"]]
    if module.params["fresh"]:
        expected = [member for member in mine if not member["name"] and member["urls"] == [url]]
        for member in mine:
            if member not in expected:
                etcd.run("remove", member["id"])
                after.remove(member)
                changed = True
        if not expected:
            etcd.run("add", name, f"--peer-urls={url}")
            after.append({"id": "", "name": name, "urls": [url]})
            changed = True
    elif not mine:
        names = ", ".join(sorted(member["name"] for member in before))
        module.fail_json(
            msg=f"{name} has data of etcd but is no member of this cluster, whose members are {names}; remove its data "
            "if it is that of another cluster"
        )
    elif mine[0]["urls"] != [url]:
        etcd.run("update", mine[0]["id"], f"--peer-urls={url}")
        mine[0]["urls"] = [url]
        changed = True
    module.exit_json(
        changed=changed,
        initial_cluster=",".join(
            sorted(f"{member['name'] or name}={each}" for member in after for each in member["urls"])
        ),
        diff={"before": _shown(before), "after": _shown(after)},
    )


def _shown(members: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {member["name"] or "(not started)": member["urls"] for member in members}


if __name__ == "__main__":
    main()
