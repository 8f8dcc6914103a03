# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The module ovs_flow on a real ovs-vswitchd, whose flows are read with ovs-ofctl."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from module_runner import ModuleFailed, run_module
from ovsdb_servers import Server
from test_examples import examples

COOKIE = "0x5"
FLOWS = """\
table=3,priority=7,in_port=p1,actions=NORMAL
in_port=LOCAL,dl_src=0a:58:00:00:00:01,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=output:p1,LOCAL
ip,nw_src=10.0.0.0/8,nw_dst=10.1.2.3,actions=drop
tcp,tp_src=80,tp_dst=0x1000/0xf000,actions=IN_PORT
udp,udp_dst=53,actions=controller:128
udp6,udp_dst=53,ipv6_src=2001:db8::/32,actions=CONTROLLER
sctp,tp_dst=1,actions=FLOOD
icmp,icmp_type=8,icmp_code=0,actions=ALL
icmp6,icmp_type=135,nd_target=fe80::1,nd_sll=0a:58:00:00:00:01,actions=drop
arp,arp_op=1,nw_src=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=0a:58:00:00:00:01,actions=drop
dl_vlan=10,dl_vlan_pcp=3,actions=pop_vlan,output:1
dl_vlan=0xffff,actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:1
vlan_tci=0x1000/0x1000,actions=strip_vlan,NORMAL
ip,actions=mod_dl_src:0a:58:00:00:00:01,mod_nw_src:1.2.3.4,mod_nw_dst:1.2.3.5,dec_ttl,output:1
ip,ip_dscp=10,nw_ecn=1,nw_ttl=3,actions=set_field:12->ip_dscp,set_field:64->nw_ttl,set_queue:3,NORMAL
tcp,priority=1,actions=set_field:80->tcp_dst,set_field:81->tcp_src,resubmit(,5)
udp,priority=1,actions=set_field:80->udp_dst,resubmit(1,),resubmit(2,6),resubmit:3
metadata=0x1/0xff,reg0=5,reg3=0x10/0xf0,actions=set_field:7->reg1,set_field:0x30/0xf0->reg2,move:reg0[]->reg1[],goto_table:9
tun_id=0x5,tun_src=192.0.2.1,tun_dst=192.0.2.2,actions=set_field:9->tun_id,set_field:192.0.2.3->tun_dst,output:1
ct_state=+trk+est-new,ct_zone=3,ct_mark=0x1/0x1,ct_label=0x1,ip,actions=ct_clear,NORMAL
ip,ct_state=-trk,actions=ct(table=4,zone=7)
ip,priority=2,actions=ct(commit,zone=7,nat(src=10.0.0.1-10.0.0.9:1000-2000,random),exec(set_field:0x1->ct_mark)),output:1
ip,priority=3,actions=ct(commit,force,zone=7,nat(dst=10.0.0.1:80),exec(set_field:0x2/0xf->ct_label))
ip,priority=4,actions=ct(zone=7,nat,table=2)
ipv6,actions=ct(commit,nat(src=[2001:db8::1]-[2001:db8::9]:1000-2000))
ipv6,ipv6_label=0x5,actions=set_field:2001:db8::1->ipv6_dst,NORMAL
conj_id=5,actions=NORMAL
ip,nw_dst=1.2.3.4,actions=conjunction(5,1/2)
tcp,tcp_flags=+syn-ack,actions=NORMAL
ip,ip_frag=later,actions=NORMAL
pkt_mark=0x1/0x3,actions=set_field:5->pkt_mark,NORMAL
priority=5,actions=write_metadata:0x5/0xff,goto_table:5
priority=6,actions=set_field:00:00:00:00:00:10/00:00:00:00:00:10->eth_dst,NORMAL
eth_type=0x88cc,actions=NORMAL
arp,actions=move:eth_src[]->eth_dst[],move:arp_spa[]->arp_tpa[],move:arp_sha[]->arp_tha[],set_field:2->arp_op,IN_PORT
""".splitlines()
"""Each field and action that the module's document names."""


@pytest.fixture
def switch(switch: Server) -> Server:
    """With a bridge that has a port."""
    run_module("ovs_bridge", remote=switch.remote, bridges=[{"name": "br0", "fail_mode": "secure"}])
    run_module("ovs_port", remote=switch.remote, ports=[{"name": "p1", "bridge": "br0"}])
    return switch


def ofctl(server: Server, command: str, *arguments: str, bridge: str = "br0") -> str:
    target = f"unix:{server.folder}/{bridge}.mgmt"
    done = subprocess.run(
        ["ovs-ofctl", "-O", "OpenFlow14", command, target, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


def dump(server: Server, bridge: str = "br0") -> list[str]:
    lines = ofctl(server, "dump-flows", bridge=bridge).splitlines()
    found = (re.sub(r"(duration|n_packets|n_bytes)=[^,]*, ", "", line.strip()) for line in lines)
    return sorted(line for line in found if line.startswith("cookie"))


def flows(server: Server, *texts: str, check: bool = False, **options: Any) -> dict[str, Any]:
    given = {"remote": server.remote, "bridge": "br0", "cookie": COOKIE, "flows": list(texts), **options}
    return run_module("ovs_flow", check=check, **given)


def converge(server: Server, *texts: str, **options: Any) -> dict[str, Any]:
    """Check mode foretells the run, and a second run does nothing."""
    before = dump(server)
    foretold = flows(server, *texts, check=True, **options)
    assert dump(server) == before
    done = flows(server, *texts, **options)
    assert done == foretold
    assert done["changed"] == (dump(server) != before)
    again = flows(server, *texts, **options)
    assert (again["changed"], again["added"], again["removed"]) == (False, [], [])
    assert again["diff"] == {"before": {}, "after": {}}
    return done


def test_a_set_of_flows(switch: Server) -> None:
    ofctl(switch, "add-flow", "cookie=9,priority=1,actions=NORMAL")
    theirs = dump(switch)
    done = converge(switch, "priority=100,tcp,tp_dst=22,actions=LOCAL", "priority=0,actions=drop")
    assert (done["flows"], len(done["added"]), done["removed"]) == (2, 2, [])
    assert "cookie=0x5, table=0, priority=100,tcp,tp_dst=22 actions=LOCAL" in dump(switch)

    done = converge(switch, "priority=100,tcp,tp_dst=22,actions=p1", "table=4,actions=NORMAL")
    assert done["removed"] == ["table=0,priority=0,actions=drop"]
    assert len(done["added"]) == 2
    assert done["diff"]["before"] == {
        "0x5": [
            "table=0,priority=0,actions=drop",
            "table=0,priority=100,eth_type=0x800,nw_proto=6,tcp_dst=22,actions=output:LOCAL",
        ]
    }
    assert theirs[0] in dump(switch)
    done = converge(switch, "priority=100,tcp,tp_dst=22,actions=p1", state="absent")
    assert (done["flows"], len(done["removed"])) == (0, 2)
    assert dump(switch) == theirs


def test_what_stays_keeps_its_counters(switch: Server) -> None:
    kept = "priority=9,in_port=p1,actions=drop"
    flows(switch, kept, "priority=8,actions=NORMAL")
    packet = (
        "in_port(1),eth(src=0a:58:00:00:00:01,dst=0a:58:00:00:00:02),eth_type(0x0800),ipv4(src=1.2.3.4,dst=1.2.3.5)"
    )
    control = ["ovs-appctl", "-t", f"{switch.folder}/vswitchd.ctl"]
    subprocess.run([*control, "netdev-dummy/receive", "p1", packet], check=True, capture_output=True)
    subprocess.run([*control, "revalidator/purge"], check=True, capture_output=True)
    assert "n_packets=1" in next(line for line in ofctl(switch, "dump-flows").splitlines() if "priority=9" in line)
    flows(switch, kept, "priority=8,actions=LOCAL")
    assert "n_packets=1" in next(line for line in ofctl(switch, "dump-flows").splitlines() if "priority=9" in line)


@pytest.mark.parametrize("text", FLOWS)
def test_what_the_switch_makes_of_a_flow_is_recognised(switch: Server, text: str) -> None:
    converge(switch, text)
    ofctl(switch, "add-flow", f"cookie=6,{text}")  # in the place of ours
    assert not flows(switch, text, cookie="6")["changed"], "ovs-ofctl understands this otherwise"


def test_all_of_them_at_once(switch: Server) -> None:
    assert converge(switch, *FLOWS)["flows"] == len(FLOWS)
    assert converge(switch)["flows"] == 0


def test_somebody_changed_a_flow(switch: Server) -> None:
    text = "priority=9,actions=NORMAL"
    flows(switch, text)
    ofctl(switch, "mod-flows", "--strict", "priority=9,actions=drop")
    assert converge(switch, text)["changed"]
    ofctl(switch, "add-flow", "cookie=5,priority=3,actions=learn(table=1,priority=4)")
    ofctl(switch, "add-flow", "cookie=5,priority=4,idle_timeout=1000,actions=drop")
    done = flows(switch, text)
    assert (done["changed"], len(done["removed"])) == (True, 2)
    assert dump(switch) == ["cookie=0x5, table=0, priority=9 actions=NORMAL"]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        (["tp_dst=1,actions=drop"], {}, "nothing was changed: flow 'tp_dst=1,actions=drop': tp_dst needs tcp"),
        (["tcp_dst=1,actions=drop"], {}, "flow 'table=0.*tcp_dst=1.*': .*a field needs another beside it"),
        (["ip,actions=set_field:1->tcp_dst"], {}, "flow .*: .*an action does not fit what the flow matches"),
        (["actions=p9"], {}, "port 'p9': the bridge has no port of this name"),
        (["actions=drop", "actions=NORMAL"], {}, "matches what 'actions=drop' does, at the same priority"),
        (["priority=77,actions=drop"], {}, "would take the place of one with the cookie 0x9; choose another priority"),
        ([], {"cookie": "0"}, "cookie 0 is outside 1 to 0xffffffffffffffff"),
        ([], {"cookie": "mine"}, "cookie 'mine' is no number"),
        ([], {"bridge": "br9"}, "Bridge 'br9' does not exist; create it first"),
        ([], {"remote": "tcp:127.0.0.1:1"}, "a bridge is reached through its socket on its own machine"),
        ([], {"socket": "/nonexistent.mgmt"}, "/nonexistent.mgmt: No such file or directory; is ovs-vswitchd running"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_refused(switch: Server, texts: list[str], options: dict[str, Any], message: str, check: bool) -> None:
    flows(switch, "priority=5,actions=NORMAL")
    ofctl(switch, "add-flow", "cookie=9,priority=77,actions=NORMAL")
    before = dump(switch)
    with pytest.raises(ModuleFailed, match=message):
        flows(switch, "priority=3,actions=NORMAL", *texts, check=check, **options)
    assert dump(switch) == before


def test_what_the_switch_notices_when_it_carries_out(switch: Server) -> None:
    before = dump(switch)
    with pytest.raises(ModuleFailed, match=r"nothing was changed: .*an action sends to a group that is not there"):
        flows(switch, "priority=3,actions=NORMAL", "actions=group:7")
    assert dump(switch) == before


def test_a_bridge_that_speaks_something_else(switch: Server) -> None:
    run_module("ovs_bridge", remote=switch.remote, bridges=[{"name": "br0", "protocols": ["OpenFlow13"]}])
    with pytest.raises(ModuleFailed, match=r"does not speak OpenFlow14 \(it has OpenFlow13\); add it to the bridge's"):
        flows(switch, "actions=NORMAL")


def test_check_mode_before_anything_is_installed(tmp_path: Any) -> None:
    options = {"remote": f"unix:{tmp_path}/db.sock", "bridge": "br0", "cookie": "5", "flows": ["actions=drop"]}
    result = run_module("ovs_flow", check=True, assume_empty=True, **options)
    assert (result["changed"], result["added"]) == (True, ["actions=drop"])


def test_the_examples(switch: Server) -> None:
    for task in examples("ovs_flow"):
        ((action, options),) = ((key, value) for key, value in task.items() if key.startswith("ovn_k8s.cluster."))
        module = action.removeprefix("ovn_k8s.cluster.")
        foretold = run_module(module, check=True, remote=switch.remote, **options)
        assert run_module(module, remote=switch.remote, **options) == foretold
        assert not run_module(module, remote=switch.remote, **options)["changed"]
    assert dump(switch, "br-edge") == []


def test_the_flow_that_is_refused_is_named_also_beside_flows_that_are_not_understood(switch: Server) -> None:
    for port in (1, 2):  # they end by themselves, which no flow of the module does
        ofctl(switch, "add-flow", f"cookie={COOKIE},table=7,idle_timeout=600,tcp,tp_dst={port},actions=drop")
    with pytest.raises(ModuleFailed, match=r"flow '[^']*tcp_dst=7[^']*': .*a field needs another beside it"):
        flows(switch, "priority=1,actions=NORMAL", "priority=2,tcp_dst=7,actions=drop", "priority=3,actions=NORMAL")
    assert "NORMAL" not in ofctl(switch, "dump-flows")
