# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""NetworkPolicies of a real API server become port groups, ACLs and address sets of a real northbound database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from control_plane import eventually
from northbound import Northbound
from watcher_world import World, wait_for

from ovn_k8s.core.database import Database, StoredRow
from ovn_k8s.core.policy_rows import METER, NODES_GROUP, policy_group

BACK = {"matchLabels": {"app": "back"}}
FRONT = {"matchLabels": {"app": "front"}}
TABLES = ("Logical_Switch_Port", "Port_Group", "ACL", "Address_Set", "Logical_Switch", "Meter", "Meter_Band")


class State:
    """What the database says about policies."""

    def __init__(self, nb: Northbound) -> None:
        with nb.client() as client:
            self.database: Database = client.snapshot(TABLES)

    def group(self, world: World, policy: str) -> StoredRow | None:
        """The port group of a policy of the test's namespace."""
        return self.database.find("Port_Group", policy_group(world.objects.namespace, policy))

    def isolated(self, world: World, policy: str) -> set[str]:
        """The pods of the test in a policy's group."""
        group = self.group(world, policy)
        return {self._pod(uuid) for uuid in group.columns["ports"]} if group else set()

    def matches(self, world: World, policy: str) -> set[str]:
        """The conditions under which a policy lets something in or out, without its group."""
        group = self.group(world, policy)
        rows = [self.database.get("ACL", uuid) for uuid in group.columns["acls"]] if group else []
        allowed = [row.columns["match"] for row in rows if row and row.columns["action"] == "allow-related"]
        return {match.split(" && ", 1)[1] for match in allowed} - {f"inport == @{NODES_GROUP} && ip"}

    def peers(self, world: World) -> list[set[str]]:
        """Addresses of all peers that are named."""
        rows = self.database.rows("Address_Set")
        return sorted(set(row.columns["addresses"]) for row in rows if row.owner.startswith("peers/"))

    def _pod(self, uuid: str) -> str:
        row = self.database.get("Logical_Switch_Port", uuid)
        return str(row.columns["name"]).split("_", 1)[1] if row else "?"


def path(world: World, name: str = "") -> str:
    """The path of the test's policies, or of one of them."""
    base = f"/apis/networking.k8s.io/v1/namespaces/{world.objects.namespace}/networkpolicies"
    return f"{base}/{name}" if name else base


def create(world: World, name: str, **spec: Any) -> None:
    """Create a policy."""
    world.objects.api.create(path(world), {"metadata": {"name": name}, "spec": spec})


def label(world: World, pod: str, **labels: str | None) -> None:
    """Change labels of a pod."""
    world.objects.api.merge_patch(world.objects.path("pods", pod), {"metadata": {"labels": labels}})


def labelled(world: World, name: str, app: str, node: str = "linux1", **spec: Any) -> None:
    """Create a pod with a label."""
    document = {
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": "example/none:1", **spec}], "nodeName": node},
    }
    world.objects.api.create(world.objects.path("pods"), document)


def wait(world: World, condition: Callable[[State], object], wanted: object) -> State:
    """Wait until the database says what is wanted."""
    for last in eventually():
        state = State(world.nb)
        found = condition(state)
        if found == wanted:
            return state
        assert not last, f"{found}, wanted {wanted}\n{world.watcher.log.read_text()[-2000:]}"
    raise AssertionError


def nothing_left_to_do(world: World) -> None:
    """A second look finds nothing to write."""
    result = world.watcher.run("--check")
    assert (result.stdout, result.returncode) == ("", 0), result.stderr


def test_a_policy_follows_pods_and_labels(world: World) -> None:
    world.watcher.start()
    labelled(world, "one", "back")
    labelled(world, "two", "front", "linux2")
    addresses = wait_for(world, "one", "two")
    create(world, "back", podSelector=BACK, ingress=[{"from": [{"podSelector": FRONT}]}])
    state = wait(world, lambda state: state.isolated(world, "back"), {"one"})
    assert state.peers(world) == [{addresses["two"]}]
    nodes = state.database.find("Port_Group", NODES_GROUP)
    assert nodes is not None
    assert len(nodes.columns["ports"]) == 2
    label(world, "two", app="back")
    state = wait(world, lambda state: state.isolated(world, "back"), {"one", "two"})
    assert state.peers(world) == [set()]
    label(world, "one", app="front")
    wait(world, lambda state: (state.isolated(world, "back"), state.peers(world)), ({"two"}, [{addresses["one"]}]))
    world.objects.delete("pods", "one")
    wait(world, lambda state: state.peers(world), [set()])
    world.objects.delete("pods", "two")
    wait(world, lambda state: state.isolated(world, "back"), set())
    nothing_left_to_do(world)
    world.objects.api.delete(path(world, "back"), {})
    nodes = 4  # two on each switch stay
    wait(world, lambda state: [state.database.count(table) for table in TABLES[1:4]], [0, nodes, 0])
    nothing_left_to_do(world)


def test_a_new_pod_is_never_without_its_policies(world: World) -> None:
    """In every state that the database goes through, a pod's port is in the group of the policy that isolates it."""
    create(world, "deny", podSelector={})
    world.watcher.start()
    wait(world, lambda state: state.group(world, "deny") is not None, True)
    for number in range(8):
        labelled(world, f"pod{number}", "any", f"linux{number % 2 + 1}")
    for last in eventually(20, step=0):
        state = State(world.nb)
        ports = {
            str(row.columns["name"]).split("_", 1)[1]
            for row in state.database.rows("Logical_Switch_Port")
            if row.columns["external_ids"].get("pod") == "true"
        }
        assert state.isolated(world, "deny") == ports
        if len(ports) == 8:
            break
        assert not last
    # Killed, and pods made while nobody watches.
    world.watcher.kill()
    labelled(world, "late", "any")
    world.objects.delete("pods", "pod0")
    labelled(world, "pod0", "any", "linux2")
    world.watcher.start(ready=False)
    for last in eventually(20, step=0):
        state = State(world.nb)
        ports = {
            str(row.columns["name"]).split("_", 1)[1]
            for row in state.database.rows("Logical_Switch_Port")
            if row.columns["external_ids"].get("pod") == "true"
        }
        assert state.isolated(world, "deny") == ports
        if "late" in ports:
            break
        assert not last
    world.watcher.wait_ready()
    nothing_left_to_do(world)


def test_what_is_written_when_all_is_right_already(world: World) -> None:
    labelled(world, "one", "back")
    create(world, "back", podSelector=BACK, ingress=[{"from": [{"namespaceSelector": {}}], "ports": [{"port": 80}]}])
    world.watcher.start()
    wait(world, lambda state: state.isolated(world, "back"), {"one"})
    world.watcher.stop()
    world.watcher.start()
    assert world.watcher.metric('ovn_k8s_watcher_transactions_total{result="committed"}') == 0
    assert State(world.nb).isolated(world, "back") == {"one"}


def test_namespaces_as_peers_and_logging(world: World) -> None:
    world.watcher.start()
    labelled(world, "one", "back")
    address = wait_for(world, "one")["one"]
    selector = {"matchLabels": {"tier": world.objects.namespace}}
    create(world, "back", podSelector=BACK, ingress=[{"from": [{"namespaceSelector": selector}]}])
    wait(world, lambda state: state.peers(world), [set()])
    own = f"/api/v1/namespaces/{world.objects.namespace}"
    world.objects.api.merge_patch(own, {"metadata": {"labels": {"tier": world.objects.namespace}}})
    wait(world, lambda state: state.peers(world), [{address}])
    world.objects.api.merge_patch(own, {"metadata": {"labels": {"tier": None}}})
    wait(world, lambda state: state.peers(world), [set()])
    annotations = {"ovn.ovn-k8s.io/acl-logging": '{"deny": "alert"}'}
    world.objects.api.merge_patch(own, {"metadata": {"annotations": annotations}})
    logged = {
        ("drop", True, "alert", METER),
        *((action, False, None, None) for action in ("allow-related", "allow-stateless")),
    }
    columns = ("action", "log", "severity", "meter")
    wait(
        world,
        lambda state: {tuple(row.columns[name] for name in columns) for row in state.database.rows("ACL")},
        logged,
    )


def test_every_node_has_exceptions_for_its_own_pods_and_for_itself_with_and_without_policies(world: World) -> None:
    def exceptions(state: State) -> set[tuple[str, str]]:
        found = set()
        for switch in state.database.rows("Logical_Switch"):
            for uuid in switch.columns["acls"]:
                row = state.database.get("ACL", uuid)
                assert row is not None
                found.add((str(switch.columns["name"]), str(row.columns["match"])))
        return found

    world.watcher.start()
    create(world, "out", podSelector={}, policyTypes=["Egress"])

    def of(node: str, own: str, address: str) -> set[tuple[str, str]]:
        back = f'outport == "k8s-{node}" && ip4.src == {{{own}, 10.96.0.0/16, 169.254.0.0/29}}'
        return {(node, f"ip4.dst == {{{own}, {address}}}"), (node, back)}

    first = of("linux1", "10.244.1.2", "172.30.0.11") | of("linux2", "10.244.2.2", "172.30.0.12")
    wait(world, exceptions, first)
    world.nb.add_cluster(linux3="10.244.3.0/24")
    third = of("linux3", "10.244.3.2", "172.30.0.11")
    wait(world, exceptions, first | third)
    nothing_left_to_do(world)
    with world.nb.client() as client:
        client.transact([{"op": "update", "table": "Logical_Switch", "where": [], "row": {"acls": ["set", []]}}])
    wait(world, exceptions, first | third)
    state = State(world.nb)
    meter = state.database.find("Meter", METER)
    assert meter is not None
    assert (meter.columns["fair"], meter.columns["unit"], len(meter.columns["bands"])) == (True, "pktps", 1)
    world.objects.api.delete(path(world, "out"), {})
    wait(world, lambda state: state.database.find("Meter", METER), None)
    assert exceptions(State(world.nb)) == first | third
    nothing_left_to_do(world)


def test_rules_and_named_ports_change_at_run_time(world: World) -> None:
    world.watcher.start()
    labelled(world, "one", "back", ports=[{"name": "http", "containerPort": 8080}])
    address = wait_for(world, "one")["one"]
    create(world, "back", podSelector=BACK, ingress=[{"ports": [{"port": 80}]}])
    hairpin = "ip4.src == 169.254.0.5"
    wait(world, lambda state: state.matches(world, "back"), {"tcp.dst == 80", hairpin})
    spec = {"ingress": [{"ports": [{"port": "http"}]}]}
    world.objects.api.merge_patch(path(world, "back"), {"spec": spec})
    group = policy_group(world.objects.namespace, "back")
    named = f"{group}_in_0_tcp_8080"
    state = wait(
        world, lambda state: state.matches(world, "back"), {f"ip4.dst == ${named} && tcp.dst == 8080", hairpin}
    )
    row = state.database.find("Address_Set", named)
    assert row is not None
    assert row.columns["addresses"] == {address}
    labelled(world, "two", "back", ports=[{"name": "http", "containerPort": 9090}])
    wait(
        world,
        lambda state: state.matches(world, "back"),
        {hairpin} | {f"ip4.dst == ${group}_in_0_tcp_{port} && tcp.dst == {port}" for port in (8080, 9090)},
    )
    world.objects.api.merge_patch(path(world, "back"), {"spec": {"policyTypes": ["Egress"], "ingress": None}})
    wait(world, lambda state: state.matches(world, "back"), set())
    stateful = [row for row in State(world.nb).database.rows("ACL") if row.columns["action"] != "allow-stateless"]
    assert {row.columns["direction"] for row in stateful} == {"from-lport"}
    nothing_left_to_do(world)


def test_what_others_change_is_put_right(world: World) -> None:
    world.watcher.start()
    labelled(world, "one", "back")
    create(world, "back", podSelector=BACK, ingress=[{"from": [{"podSelector": BACK}]}])
    wait(world, lambda state: state.isolated(world, "back"), {"one"})
    group = policy_group(world.objects.namespace, "back")
    mine: list[object] = [["name", "==", group]]
    for operation in (
        {"op": "update", "table": "Port_Group", "where": mine, "row": {"ports": ["set", []]}},
        {"op": "update", "table": "Port_Group", "where": mine, "row": {"acls": ["set", []]}},
        {"op": "delete", "table": "Port_Group", "where": mine},
        {"op": "delete", "table": "Address_Set", "where": []},
        {"op": "update", "table": "ACL", "where": [["action", "==", "drop"]], "row": {"action": "allow"}},
        {"op": "update", "table": "Logical_Switch", "where": [], "row": {"ports": ["set", []]}},
    ):
        with world.nb.client() as client:
            client.transact([operation])
        wait(
            world,
            lambda state: (
                state.isolated(world, "back"),
                len(state.matches(world, "back")),
                len(state.peers(world)),
                {row.columns["action"] for row in state.database.rows("ACL")} - {"allow-stateless"},
            ),
            ({"one"}, 2, 1, {"drop", "allow-related"}),
        )
    nothing_left_to_do(world)


def test_pods_on_the_host_s_network_and_finished_ones_are_nobody_s_peers(world: World) -> None:
    world.watcher.start()
    labelled(world, "one", "front")
    address = wait_for(world, "one")["one"]
    world.objects.pod("host", hostNetwork=True)
    label(world, "host", app="front")
    world.objects.set_status("host", phase="Running", podIP="172.30.0.11", podIPs=[{"ip": "172.30.0.11"}])
    create(world, "all", podSelector={}, ingress=[{"from": [{"podSelector": FRONT}]}])
    state = wait(world, lambda state: state.peers(world), [{address}])
    assert state.isolated(world, "all") == {"one"}
    world.objects.set_status("one", phase="Succeeded")
    wait(world, lambda state: (state.peers(world), state.isolated(world, "all")), ([set()], set()))
