#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_cluster
short_description: Manage the cluster of servers behind an OVN database
version_added: 0.1.0
description:
  - Has a database server join or leave the RAFT cluster of a database, removes members that are gone for good, sets the
    election timer, and waits until the cluster is whole.
  - Talks to the control socket of the C(ovsdb-server) on the target itself, without running C(ovs-appctl) or
    C(ovsdb-tool). Every member can be asked; what only the leader can do is done where the leader runs.
author:
  - The ovn_k8s.cluster authors (@ovn-k8s)
extends_documentation_fragment:
  - ovn_k8s.cluster._attributes
options:
  database:
    description:
      - Which database.
    type: str
    choices: [northbound, southbound]
    required: true
  control_socket:
    description:
      - Path of the server's control socket. V(/run/ovn/ovnnb_db.ctl) or V(/run/ovn/ovnsb_db.ctl) unless given.
    type: path
  state:
    description:
      - With V(present) the server shall be a member of the cluster; with V(absent) it leaves, in good order, before the
        module returns. A server that has left cannot come back with the same file.
    type: str
    choices: [present, absent]
    default: present
  join:
    description:
      - How a server that does not have the database joins the cluster. Nothing happens when it has it.
    type: dict
    suboptions:
      file:
        description:
          - Path of the database's file, which must not exist yet.
        type: path
        required: true
      local_address:
        description:
          - Where this server listens for the other members, as V(ssl:192.0.2.12:6643) or V(tcp:192.0.2.12:6643).
        type: str
        required: true
      remote_addresses:
        description:
          - Where members of the cluster listen. One is enough if it answers.
        type: list
        elements: str
        required: true
  election_timer:
    description:
      - Milliseconds without a word from the leader after which members elect another, 100 to 600000. The database lets
        it grow to twice its value at most in one step; the module takes as many as are needed.
      - Set by the leader. On other members nothing is done for it.
    type: int
  absent_members:
    description:
      - Addresses or server ids of members that shall not be there, because they are lost. One that still runs should
        leave by itself, with O(state=absent).
    type: list
    elements: str
    default: []
  wait_members:
    description:
      - Wait until the cluster has at least so many members and a leader, and fail when that does not come about.
    type: int
  timeout:
    description:
      - Seconds to wait for an answer, and for each change to come about.
    type: float
    default: 30.0
seealso:
  - module: ovn_k8s.cluster.ovn_connection
  - name: ovsdb(7)
    description: Clustered databases, and what to do when members are lost.
    link: https://docs.openvswitch.org/en/latest/ref/ovsdb.7/
"""

EXAMPLES = r"""
- name: Elections wait for a slow network, and the play for a cluster of three
  ovn_k8s.cluster.ovn_cluster:
    database: northbound
    election_timer: 4000
    wait_members: 3

- name: A member that burnt down is forgotten
  ovn_k8s.cluster.ovn_cluster:
    database: northbound
    absent_members: [tcp:192.0.2.13:6643]

- name: This machine is needed elsewhere
  ovn_k8s.cluster.ovn_cluster:
    database: northbound
    state: absent
"""

RETURN = r"""
cluster:
  description:
    - The cluster after the run, as this server sees it; null when the server does not have the database.
    - C(status) is C(cluster member), C(joining cluster) or C(left cluster), C(role) is C(leader), C(follower) or
      C(candidate), C(leader) the beginning of the leader's id, empty when there is none.
  returned: success
  type: dict
  sample:
    name: OVN_Northbound
    cluster_id: bd2aade1-4769-4d8c-bcd7-4c1b61cb21b1
    server_id: a6d1aee5-5aec-4826-9af4-1e9a089d38a7
    address: ssl:192.0.2.11:6643
    status: cluster member
    role: leader
    term: 1
    leader: a6d1
    election_timer: 4000
    uncommitted: 0
    servers:
      - id: a6d1
        address: ssl:192.0.2.11:6643
        myself: true
    joining: []
steps:
  description: What was done; in check mode, would be.
  returned: success
  type: list
  elements: str
  sample: ["election timer 1000 to 4000 ms"]
"""

import os
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import OvsdbError
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.raft import (
    LEFT,
    MEMBER,
    Cluster,
    joining_file,
    parse_status,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.unixctl import CommandFailed, Control

DATABASES = {
    "northbound": ("OVN_Northbound", "/run/ovn/ovnnb_db.ctl"),
    "southbound": ("OVN_Southbound", "/run/ovn/ovnsb_db.ctl"),
}
ADDRESS = re.compile(r"(tcp|ssl):(\[[0-9a-fA-F:]+\]|[^:\s]+):\d+")
SHORTEST_TIMER = 100
LONGEST_TIMER = 600000
POLL_INTERVAL_S = 0.1
OPTIONS = {
    "database": {"type": "str", "choices": ["northbound", "southbound"], "required": True},
    "control_socket": {"type": "path"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "join": {
        "type": "dict",
        "options": {
            "file": {"type": "path", "required": True},
            "local_address": {"type": "str", "required": True},
            "remote_addresses": {"type": "list", "elements": "str", "required": True},
        },
    },
    "election_timer": {"type": "int"},
    "absent_members": {"type": "list", "elements": "str", "default": []},
    "wait_members": {"type": "int"},
    "timeout": {"type": "float", "default": 30.0},
}


class NotReached(Exception):
    """The cluster does not become what it shall be."""


class Run:
    """One run against one server; in check mode it changes nothing and keeps what would have become."""

    def __init__(self, module: AnsibleModule, control: Control, name: str) -> None:
        self.module, self.control, self.name = module, control, name
        self.steps: list[str] = []
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}

    def status(self) -> Cluster | None:
        """What the server says of the cluster, or None when it does not have the database.

        Raises:
            CommandFailed: the database is not clustered.
        """
        if self.name not in self.control.run("ovsdb-server/list-dbs").split():
            return None
        try:
            return parse_status(self.control.run("cluster/status", self.name))
        except CommandFailed as error:
            raise CommandFailed(f"{error}; is it a clustered database? A standalone one has no members") from None

    def step(self, what: str, aspect: str, before: Any, after: Any) -> bool:
        """Note a change; whether it shall be made."""
        self.steps.append(what)
        self.before[aspect], self.after[aspect] = before, after
        return not self.module.check_mode

    def wait(self, what: str, done: Callable[[Cluster | None], bool]) -> Cluster | None:
        """Wait until the status is as wanted.

        Raises:
            NotReached: not in time; with what is there instead.
        """
        deadline = time.monotonic() + self.module.params["timeout"]
        while not done(status := self.status()):
            if time.monotonic() > deadline:
                raise NotReached(
                    f"{what} does not come about within {self.module.params['timeout']:g} s: {_told(status)}"
                )
            time.sleep(POLL_INTERVAL_S)
        return status

    def join(self, wanted: dict[str, Any]) -> None:
        """Make the file and have the server take it."""
        path, local = Path(wanted["file"]), wanted["local_address"]
        if path.exists():
            raise NotReached(
                f"{path} is there, but the server does not serve it; remove it if nothing in it is needed, or start "
                "the server with it"
            )
        if self.step(f"join at {local}", "member", None, local):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            with os.fdopen(descriptor, "wb") as file:
                file.write(joining_file(self.name, local, wanted["remote_addresses"]))
            self.control.run("ovsdb-server/add-db", str(path))
            self.wait("membership", lambda status: status is not None and status.status == MEMBER)

    def leave(self, cluster: Cluster) -> None:
        """Leave, and wait for it."""
        if self.step(f"leave from {cluster.address}", "member", cluster.address, None):
            self.control.run("cluster/leave", self.name)
            self.wait("leaving", lambda status: status is None or status.status == LEFT)

    def forget(self, cluster: Cluster, members: list[str]) -> None:
        """Remove members that are gone."""
        found = {text: server for text in members if (server := cluster.find(text))}
        for text, server in found.items():
            if server.myself:
                raise NotReached(f"{text} is this server itself, which leaves by state=absent")
        gone = {server.id: server.address for server in found.values()}
        if not gone:
            return
        have = [server.address for server in cluster.servers]
        left = [server.address for server in cluster.servers if server.id not in gone]
        names = ", ".join(sorted(gone.values()))
        if self.step(f"forget {names}", "members", have, left):
            for server in found.values():
                self.control.run("cluster/kick", self.name, server.id)
            # By their ids: a machine that was set up anew has the address of the member that it was.
            self.wait(
                f"a cluster without {names}",
                lambda status: status is not None and not gone.keys() & {server.id for server in status.servers},
            )

    def set_timer(self, cluster: Cluster, wanted: int) -> None:
        """Change the election timer in steps that the database allows."""
        now = cluster.election_timer
        if cluster.role != "leader" or now == wanted:
            return
        if not self.step(f"election timer {now} to {wanted} ms", "election_timer", now, wanted):
            return
        while now != wanted:
            now = min(wanted, now * 2)
            self.control.run("cluster/change-election-timer", self.name, str(now))
            self.wait(f"an election timer of {now} ms", partial(_has_timer, now))


def _has_timer(wanted: int, status: Cluster | None) -> bool:
    return status is not None and status.election_timer == wanted


def _told(status: Cluster | None) -> str:
    if status is None:
        return "the server does not have the database"
    members = ", ".join(server.address for server in status.servers) or "none"
    return f"status {status.status!r}, role {status.role!r}, leader {status.leader or 'none'}, members {members}"


def complaint(params: dict[str, Any]) -> str | None:
    """What is wrong with the options."""
    timer, join = params["election_timer"], params["join"]
    if timer is not None and not SHORTEST_TIMER <= timer <= LONGEST_TIMER:
        return f"election_timer: {timer} is outside {SHORTEST_TIMER} to {LONGEST_TIMER}"
    for address in [join["local_address"], *join["remote_addresses"]] if join else []:
        if not ADDRESS.fullmatch(address):
            return f"join: {address!r} is no address; write ssl:host:port or tcp:host:port"
    if join and not join["remote_addresses"]:
        return "join: remote_addresses is empty; name at least one member"
    if params["state"] == "absent" and (join or timer or params["absent_members"] or params["wait_members"]):
        return "a server that leaves takes no join, election_timer, absent_members or wait_members"
    return None


def carry_out(run: Run, params: dict[str, Any]) -> Cluster | None:
    """Bring the cluster to what it shall be; the cluster then."""
    cluster = run.status()
    if params["state"] == "absent":
        if cluster and cluster.status != LEFT:
            run.leave(cluster)
        return run.status()
    if cluster is None:
        if not params["join"]:
            raise NotReached("the server does not have the database; give join, or start the server with it")
        run.join(params["join"])
        cluster = run.status()
    if cluster and cluster.status == LEFT:
        raise NotReached("the server has left the cluster for good; remove its file and join anew")
    if params["wait_members"] and cluster:
        number = params["wait_members"]
        done: Callable[[Cluster | None], bool] = lambda now: bool(  # noqa: E731
            now and now.leader and now.status == MEMBER and len(now.servers) >= number
        )
        cluster = cluster if run.module.check_mode else run.wait(f"a cluster of {number} members with a leader", done)
    if cluster:
        run.forget(cluster, params["absent_members"])
        if params["election_timer"]:
            run.set_timer(cluster, params["election_timer"])
    return run.status()


def fail(module: AnsibleModule, where: str, error: Exception, steps: list[str]) -> NoReturn:
    """End the module."""
    done = f" (done before: {'; '.join(steps[:-1])})" if len(steps) > 1 else ""
    module.fail_json(msg=f"{where}: {error}{done}")
    raise AssertionError("unreachable")


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    params = module.params
    if wrong := complaint(params):
        module.fail_json(msg=wrong)
    name, socket = DATABASES[params["database"]]
    where = f"{name} at {params['control_socket'] or socket}"
    steps: list[str] = []
    try:
        with Control(params["control_socket"] or socket, params["timeout"]) as control:
            run = Run(module, control, name)
            steps = run.steps
            cluster = carry_out(run, params)
    except (OvsdbError, CommandFailed, NotReached, OSError) as error:
        fail(module, where, error, steps)
    module.exit_json(
        changed=bool(run.steps),
        steps=run.steps,
        cluster=cluster.described() if cluster else None,
        diff={"before": run.before, "after": run.after},
    )


if __name__ == "__main__":
    main()
