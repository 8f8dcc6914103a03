# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The CNI pipe and clients that come and go as they like.

Evidence: Wine. Both ends are what runs on a node; only what the service would do with a request is the test's.
"""

from __future__ import annotations

import json
from typing import Any

from test_service import CONFIG
from windows_machine import Windows

from lab.windows.hcn_model import Fault

PARTS = """
import faulthandler, io, json, threading
# Whatever hangs is shown, and ends here rather than with the machine.
faulthandler.dump_traceback_later(50, exit=True)
from ovn_k8s.windows.cni_pipe import PIPE
from ovn_k8s.windows.cni_service import CniService
from ovn_k8s.windows.cni_shim import ask

service = CniService(lambda request: {"heard": request.container_id})
serving = threading.Thread(target=service.serve, daemon=True)

def check(name):
    environment = {"CNI_COMMAND": "CHECK", "CNI_CONTAINERID": name, "CNI_NETNS": "x", "CNI_IFNAME": "eth0"}
    stdin = json.dumps({"cniVersion": "1.1.0", "name": "ovn-k8s", "prevResult": {}})
    return ask({"env": environment, "stdin": stdin})

def end(*found):
    service.stop()
    serving.join(20)
    print(json.dumps([*found, serving.is_alive()]))
"""


def ran(windows: Windows, script: str) -> list[Any]:
    found: list[Any] = windows.script(PARTS + script)
    return found


def test_a_client_that_goes_before_it_is_served_ends_nothing(windows: Windows) -> None:
    script = """
io.FileIO(PIPE, "r+").close()
serving.start()
end(*check("c1"))
"""
    code, said, still_there = ran(windows, script)
    assert (code, json.loads(said), still_there) == (0, {"heard": "c1"}, False)


def test_a_client_that_goes_in_the_middle_of_its_message_ends_nothing(windows: Windows) -> None:
    script = """
serving.start()
for part in (b"", b"\\xff\\xff", b"\\x10\\x00\\x00\\x00{", b"\\xff\\xff\\xff\\x7f", b"\\x02\\x00\\x00\\x00[]"):
    with io.FileIO(PIPE, "r+") as client:
        client.write(part)
    check("between")
end(*check("c1"))
"""
    code, said, still_there = ran(windows, script)
    assert (code, json.loads(said), still_there) == (0, {"heard": "c1"}, False)


def test_a_client_that_finds_the_pipe_busy_waits(windows: Windows) -> None:
    script = """
first = io.FileIO(PIPE, "r+")  # the only instance, until the service makes the next one
heard = []
second = threading.Thread(target=lambda: heard.append(check("c2")))
second.start()
second.join(1)
waited = second.is_alive()
serving.start()
second.join(20)
first.close()
end(waited, heard)
"""
    waited, ((code, said),), still_there = ran(windows, script)
    assert waited
    assert (code, json.loads(said), still_there) == (0, {"heard": "c2"}, False)


def test_many_clients_at_once_are_all_served(windows: Windows) -> None:
    script = """
serving.start()
heard = {}
clients = [threading.Thread(target=lambda n=n: heard.update({n: check(f"c{n}")})) for n in range(30)]
for client in clients:
    client.start()
for client in clients:
    client.join(40)
end(heard)
"""
    heard, still_there = ran(windows, script)
    assert not still_there
    assert heard == {str(n): [0, json.dumps({"heard": f"c{n}"})] for n in range(30)}


HANGS = """
from pathlib import Path
from ovn_k8s.windows.agent import Agent
from ovn_k8s.windows.config import load
from ovn_k8s.windows.hcn_library import HcnLibrary
from ovn_k8s.windows.pod_network import PodNetwork
from ovn_k8s.windows.sandboxes import Sandboxes

def pod(command, name):
    environment = {
        "CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_NETNS": NAMESPACE, "CNI_IFNAME": "eth0",
        "CNI_ARGS": f"K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}",
    }
    return ask({"env": environment, "stdin": json.dumps({"cniVersion": "1.1.0", "name": "x", "prevResult": {}})})

folder = Path(r"C:\\ProgramData\\hangs")
folder.mkdir(exist_ok=True)
(folder / "node.toml").write_text(CONFIG)
config, library = load(folder / "node.toml"), HcnLibrary()
Agent(library, config).round()
service._handler = PodNetwork(library, config, Sandboxes(folder / "sandboxes"), delete_seconds=1.0).handle
serving.start()
added = [pod("ADD", name)[0] for name in ("a", "b")]
deleted = []
deleting = threading.Thread(target=lambda: deleted.append(pod("DEL", "a")))
deleting.start()
other = pod("CHECK", "b")[0]
deleting.join(30)
again = [pod("DEL", name)[0] for name in ("a", "b")]
end(added, deleted[0], other, again)
"""


def test_an_endpoint_that_hangs_when_it_is_deleted_is_tried_again_later(windows: Windows) -> None:
    code, handle, _, record = windows.model.call("HcnCreateNamespace", "", 0, '{"Type": "Guest"}')
    assert code == 0, record
    namespace = windows.model.handles.pop(handle)[1]
    windows.model.faults["HcnDeleteEndpoint"] = Fault(seconds=4)
    script = f"NAMESPACE, CONFIG = {namespace!r}, {CONFIG!r}\n{HANGS}"
    added, (code, said), other, again, still_there = ran(windows, script)
    assert added == [0, 0]
    assert (code, other) == (11, 0)
    assert "has not answered for 1 s" in said
    assert again == [0, 0]
    assert not still_there
    assert [one["Name"] for one in windows.model.state.endpoints.values()] == ["ovn-k8s-source-vip"]
