# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What holds after every fault, and what holds at every moment."""

from __future__ import annotations

from collections.abc import Sequence

from control_plane import eventually
from watcher_world import World

from ovn_k8s.core.database import Database
from ovn_k8s.core.policy_rows import policy_group
from ovn_k8s.ovsdb.monitor import Monitor, RowChange
from ovn_k8s.ovsdb.remote import parse_remotes
from ovn_k8s.ovsdb.replica import Replica

ISOLATION = {("to-lport", "drop"), ("from-lport", "drop")}


def assert_right(world: World, seconds: float = 30) -> None:
    """The ports are those of the pods that the API has, each with its own address, and a check plans nothing."""
    pods = {
        f"{world.objects.namespace}_{item['metadata']['name']}": item["metadata"]["uid"]
        for page in world.objects.api.pages(world.objects.path("pods"))
        for item in page["items"]
    }
    for last in eventually(seconds):
        found = {name: row.columns["external_ids"]["pod_uid"] for name, row in world.nb.ports().items()}
        if found == pods:
            break
        log = world.watcher.log.read_text()[-3000:]
        assert not last, (sorted(set(pods) ^ set(found)), len(pods), len(found), log)
    addresses = list(world.nb.addresses().values())
    assert len(set(addresses)) == len(addresses)
    planned = world.watcher.run("--once", "--check")
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout == ""


class Guard:
    """Makes a policy that isolates all pods of the test, and looks at every state that the database goes through.

    `start` comes before the first pod and returns when the policy is in force. The database tells of one transaction
    at a time, so no state is missed while it runs.
    """

    NAME = "deny"
    TABLES = {
        "Logical_Switch_Port": Monitor(("name", "addresses", "external_ids")),
        "Port_Group": Monitor(("name", "ports", "acls")),
        "ACL": Monitor(("direction", "action", "match")),
    }

    def __init__(self, world: World) -> None:
        self._world = world
        self._group = policy_group(world.objects.namespace, self.NAME)
        self._armed = False
        self.states = 0
        self.wrong: list[str] = []
        self._replica = Replica(
            parse_remotes(world.nb.remote), "OVN_Northbound", self.TABLES, on_change=self._look, on_sync=self._arm
        )

    def start(self) -> None:
        """The watcher runs already, or is started meanwhile by somebody else."""
        spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        path = self._world.objects.path("networkpolicies")
        self._world.objects.api.create(path, {"metadata": {"name": self.NAME}, "spec": spec})
        for last in eventually(30):
            with self._world.nb.client() as client:
                if self._isolates(client.snapshot(list(self.TABLES))) is not None:
                    break
            assert not last, "the policy came into force"
        self._replica.start()
        assert self._replica.wait_synced(10)

    def stop(self) -> None:
        """Nothing was wrong at any time."""
        self._replica.stop()
        assert self.states
        assert not self.wrong, (len(self.wrong), self.states, self.wrong[:3])

    def close(self) -> None:
        """End without asking."""
        self._replica.stop()

    def _arm(self) -> None:
        self._armed = True
        with self._replica.lock:
            self._look(())

    def _isolates(self, database: Database) -> frozenset[object] | None:
        """The ports in the group; None when it does not isolate."""
        group = database.find("Port_Group", self._group)
        if group is None:
            return None
        rows = [database.get("ACL", uuid) for uuid in group.columns["acls"]]
        kinds = {(row.columns["direction"], row.columns["action"]) for row in rows if row is not None}
        if not kinds >= ISOLATION:
            return None
        return frozenset(group.columns["ports"])

    def _look(self, changes: Sequence[RowChange]) -> None:
        if not self._armed:
            return
        self.states += 1
        database = self._replica.database
        pods = {
            row.uuid: row
            for row in database.rows("Logical_Switch_Port")
            if row.columns["external_ids"].get("namespace") == self._world.objects.namespace
        }
        isolated = self._isolates(database)
        if isolated is None:
            self.wrong.append("the policy is not in force")
            return
        open_ports = sorted(str(pods[uuid].columns["name"]) for uuid in pods.keys() - isolated)
        if open_ports:
            self.wrong.append(f"open: {', '.join(open_ports)}")
        taken = [address for row in pods.values() for address in row.columns["addresses"]]
        if len(set(taken)) != len(taken):
            self.wrong.append(f"an address twice: {sorted(address for address in taken if taken.count(address) > 1)}")
