# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The CNI pipe and clients that come and go as they like.

Evidence: Wine. Both ends are what runs on a node; only what the service would do with a request is the test's.
"""

from __future__ import annotations

import json
from typing import Any

from windows_machine import Windows

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
