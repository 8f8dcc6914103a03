# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""After every fault: the database says what the API says, no address twice, and a second look changes nothing."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from aftermath import assert_right
from control_plane import eventually
from watcher_world import World, wait_for

from ovn_k8s.core.plan import plan
from ovn_k8s.core.topology import Gateway, gateway_router, gateway_topology

NODES = ("linux1", "linux2")


def create(world: World, names: list[str]) -> None:
    """Create pods from several threads."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: world.objects.pod(name, NODES[int(name[1:]) % 2]), names))


def test_killed_between_pods_nothing_is_lost(world: World) -> None:
    world.watcher.start()
    for name in ("p0", "p1"):
        world.objects.pod(name)
    before = wait_for(world, "p0", "p1")
    world.watcher.kill()
    world.objects.delete("pods", "p0")
    world.objects.pod("p2")
    world.watcher.start()
    after = wait_for(world, "p1", "p2")
    assert after["p1"] == before["p1"]
    assert_right(world)


def test_killed_during_a_burst_of_fifty(world: World) -> None:
    world.watcher.start()
    names = [f"p{number}" for number in range(50)]
    burst = threading.Thread(target=create, args=(world, names))
    burst.start()
    for last in eventually():
        if len(world.nb.ports()) >= 5:
            break
        assert not last
    world.watcher.kill()
    burst.join()
    kept = world.nb.addresses()
    world.watcher.start()
    assert_right(world)
    assert {name: world.nb.addresses()[name] for name in kept} == kept


def test_restart_with_everything_right_writes_nothing(world: World) -> None:
    create(world, [f"p{number}" for number in range(30)])
    world.objects.service("web", [{"port": 80}])
    world.watcher.start()
    before = world.nb.addresses()
    assert len(before) == 30
    assert world.watcher.stop() == 0
    world.watcher.start()
    assert world.nb.addresses() == before
    assert world.watcher.metric('ovn_k8s_watcher_transactions_total{result="committed"}') == 0
    assert world.watcher.metric('ovn_k8s_watcher_addresses_allocated{node="linux1"}') == 15
    assert_right(world)


def test_what_went_while_the_watcher_was_down_is_removed(world: World) -> None:
    create(world, ["p0", "p1", "p2"])
    world.objects.service("web", [{"port": 80}])
    world.watcher.start()
    wait_for(world, "p0", "p1", "p2")
    world.watcher.stop()
    old = world.objects.get("pods", "p2")["metadata"]["uid"]
    for name in ("p0", "p2"):
        world.objects.delete("pods", name)
    world.objects.delete("services", "web")
    new = world.objects.pod("p2")["metadata"]["uid"]
    assert old != new
    world.watcher.start()
    wait_for(world, "p1", "p2")
    assert f"service_{world.objects.namespace}_web_tcp" not in world.nb.balancers()
    assert_right(world)


def test_database_restarted(world: World) -> None:
    world.watcher.start()
    create(world, ["p0", "p1"])
    before = wait_for(world, "p0", "p1")
    world.nb.stop()
    assert world.watcher.get("/healthz")[0] == 200
    for last in eventually():
        if world.watcher.get("/readyz")[0] == 503:
            break
        assert not last
    create(world, ["p2"])
    world.objects.delete("pods", "p0")
    world.nb.start()
    assert wait_for(world, "p1", "p2")["p1"] == before["p1"]
    world.watcher.wait_ready()
    assert_right(world)


def test_database_lost_running_pods_keep_their_addresses(world: World) -> None:
    world.watcher.start()
    create(world, [f"p{number}" for number in range(6)])
    before = wait_for(world, *(f"p{number}" for number in range(6)))
    for name, address in before.items():
        world.objects.set_status(name, phase="Running", podIP=address, podIPs=[{"ip": address}])
    world.objects.delete("pods", "p0")
    wait_for(world, *(f"p{number}" for number in range(1, 6)))
    world.watcher.stop()
    world.nb.stop()
    (world.nb.folder / "nb.db").unlink()
    world.nb.create()
    world.nb.start()
    world.nb.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24")
    create(world, ["p7", "p8", "p9"])
    world.watcher.start()
    after = wait_for(world, *(f"p{number}" for number in (1, 2, 3, 4, 5, 7, 8, 9)))
    assert {name: after[name] for name in before if name != "p0"} == {n: a for n, a in before.items() if n != "p0"}
    assert_right(world)


def test_two_rows_with_one_address_one_of_them_gets_another(world: World) -> None:
    world.watcher.start()
    create(world, ["p0", "p2"])
    before = wait_for(world, "p0", "p2")
    world.objects.set_status("p2", phase="Running", podIP=before["p2"], podIPs=[{"ip": before["p2"]}])
    world.watcher.stop()
    clash = f"0a:58:0a:f4:01:{int(before['p2'].rsplit('.', 1)[1]):02x} {before['p2']}"
    with world.nb.client() as client:
        where = [["name", "==", f"{world.objects.namespace}_p0"]]
        client.transact([{"op": "update", "table": "Logical_Switch_Port", "where": where, "row": {"addresses": clash}}])
    world.watcher.start()
    after = wait_for(world, "p0", "p2")
    assert after["p2"] == before["p2"]
    assert after["p0"] != after["p2"]
    assert "address is another port's" in world.watcher.log.read_text()
    assert_right(world)


def test_api_server_restarted(world: World) -> None:
    world.watcher.start()
    create(world, ["p0", "p1"])
    wait_for(world, "p0", "p1")
    world.plane.stop_server()
    time.sleep(0.5)
    assert world.watcher.get("/healthz")[0] == 200
    world.plane.start_server()
    world.objects.api = world.plane.api
    world.objects.delete("pods", "p0")
    create(world, ["p2"])
    wait_for(world, "p1", "p2", seconds=40)
    assert_right(world)


def test_started_before_database_and_api(world: World) -> None:
    create(world, ["p0"])
    world.nb.stop()
    world.watcher.start(ready=False)
    time.sleep(0.3)
    assert world.watcher.get("/readyz")[0] == 503
    assert world.watcher.get("/healthz")[0] == 200
    world.nb.start()
    world.watcher.wait_ready()
    wait_for(world, "p0")


def test_check_prints_the_plan_and_writes_nothing(world: World) -> None:
    create(world, ["p0", "p2"])
    planned = world.watcher.run("--once", "--check")
    assert planned.returncode == 0, planned.stderr
    changes = {change["row"]: change for change in map(json.loads, planned.stdout.splitlines())}
    name = f"Logical_Switch_Port {world.objects.namespace}_p0"
    assert changes[name]["before"] is None
    assert changes[name]["after"]["external_ids"]["pod"] == "true"
    assert world.nb.ports() == {}
    done = world.watcher.run("--once")
    assert done.returncode == 0, done.stderr
    wait_for(world, "p0", "p2")
    assert world.watcher.run("--check").stdout == ""


def test_no_secret_in_the_log(world: World) -> None:
    world.watcher.start()
    create(world, ["p0"])
    wait_for(world, "p0")
    world.watcher.stop()
    assert world.plane.token("watcher") not in world.watcher.log.read_text()


def test_bad_configuration_is_said_and_ends_at_once(world: World) -> None:
    text = world.watcher.config.read_text()
    for old, new, said in (
        ('"10.244.0.0/16"', '"10.244.0.1/16"', "cluster_cidr: '10.244.0.1/16' has host bits set"),
        ("unix:", "udp:", "northbound.remote"),
        ("port = 0", 'port = "x"', "http.port"),
        (".kubeconfig", ".missing", "kubeconfig"),
    ):
        world.watcher.config.write_text(text.replace(old, new))
        result = world.watcher.run()
        assert result.returncode == 2
        assert said in result.stderr
        assert "Traceback" not in result.stderr


def test_a_row_that_cannot_be_understood_holds_up_nothing_for_good(world: World) -> None:
    outside = f"rtoe-{gateway_router('gw')}"

    def networks(text: str) -> None:
        where = [["name", "==", outside]]
        row = {"networks": text}
        with world.nb.client() as client:
            client.transact([{"op": "update", "table": "Logical_Router_Port", "where": where, "row": row}])

    gateway = Gateway(
        name="gw",
        chassis="gw",
        interface="eth1",
        address=IPv4Interface("192.0.2.2/24"),
        nexthop=None,
        mac="0a:58:c0:00:02:02",
        join_address=IPv4Address("100.64.0.9"),
    )
    with world.nb.client() as client:
        rows = gateway_topology("master", IPv4Network("10.244.0.0/16"), IPv4Network("100.64.0.0/16"), gateway)
        client.commit(plan(rows, client.snapshot()))
    networks("none")
    world.watcher.start(ready=False)
    for last in eventually():
        if "unexpected failure" in world.watcher.log.read_text():
            break
        assert not last
    networks("192.0.2.2/24")
    world.watcher.wait_ready()
    networks("none")
    create(world, ["p0"])
    wait_for(world, "p0")
    # What concerns the nodes is told to everybody who makes something of it.
    world.nb.add_cluster(linux1="10.244.1.0/24", linux2="10.244.2.0/24", linux3="10.244.3.0/24")
    for last in eventually():
        with world.nb.client() as client:
            acls = {str(row.columns["name"]) for row in client.snapshot(["ACL"]).rows("ACL")}
        if any(name.startswith("linux3:") for name in acls):
            break
        assert not last, acls
    networks("192.0.2.2/24")
    for last in eventually(60):
        if world.watcher.metric("ovn_k8s_watcher_waiting_objects") == 0:
            break
        assert not last
