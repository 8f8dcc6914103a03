# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What stands between programs of the lab's win1 and the database of Open vSwitch that they take for one of Windows."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from lab.windows import openvswitch
from lab.windows.drive import Drive
from lab.windows.openvswitch import Names, OpenVSwitch, messages, request_of_linux, rewritten
from lab.windows.programs import Refused

KEY = r"C:\ProgramData\ovn-k8s\pki\ovn.key"


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(Drive(tmp_path, {}))


def test_names_of_windows_go_there_and_back(names: Names, tmp_path: Path) -> None:
    here = {
        "vEthernet (Ethernet)": "v.Ethernet",
        KEY: str(tmp_path / "ProgramData/ovn-k8s/pki/ovn.key"),
        "br-int": "br-int",
        "ssl:172.30.0.11:6642": "ssl:172.30.0.11:6642",
    }
    assert {text: names.of_linux(text) for text in here} == here
    assert [names.of_windows(text) for text in here.values()] == list(here)
    assert max(map(len, map(names.of_linux, ("vEthernet (Ethernet)", "br-int")))) <= openvswitch.LONGEST_INTERFACE


def test_a_new_bridge_is_made_for_this_host(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvswitch, "hardware_address", lambda interface: f"mac of {interface}")
    insert = {"op": "insert", "table": "Bridge", "row": {"name": "vEthernet (Ethernet)", "fail_mode": "standalone"}}
    find = {"op": "select", "table": "Bridge", "where": [["name", "==", "vEthernet (Ethernet)"]]}
    sent = request_of_linux({"method": "transact", "params": ["Open_vSwitch", insert, find], "id": 1}, names)
    _, made, found = sent["params"]
    assert made["row"] == {
        "name": "v.Ethernet",
        "fail_mode": "standalone",
        "datapath_type": "netdev",
        "other_config": ["map", [["hwaddr", "mac of Ethernet"]]],
    }
    assert found["where"] == [["name", "==", "v.Ethernet"]]
    assert rewritten(found, names.of_windows) == find


def test_documents_come_whole_however_they_are_cut() -> None:
    documents = [{"id": 1, "text": "ä" * 50}, {"id": 2}, []]
    whole = " ".join(json.dumps(one, ensure_ascii=False) for one in documents).encode()
    near, far = socket.socketpair()

    def send() -> None:
        with near:
            for at in range(0, len(whole), 3):
                near.sendall(whole[at : at + 3])

    thread = threading.Thread(target=send)
    thread.start()
    with far:
        assert list(messages(far)) == documents
    thread.join()


def test_without_programs_of_the_host_no_service_starts(tmp_path: Path) -> None:
    switch = OpenVSwitch(Drive(tmp_path, {}), tmp_path / "none")
    with pytest.raises(Refused, match="there is no Open vSwitch"):
        switch.serve_switch(["ovs-vswitchd.exe", "--service"])
    with pytest.raises(Refused, match="listen nowhere"):
        switch.serve_database(["ovsdb-server.exe", "--service"])
