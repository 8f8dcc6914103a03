# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Files, firewall rules, services and versions of the bundle on a Windows machine (evidence: unit)."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ovn_k8s.windows.machine import __main__ as program
from ovn_k8s.windows.machine import files, firewall, node, services, versions
from ovn_k8s.windows.machine.errors import MachineError
from ovn_k8s.windows.machine.record import LARGE, Record
from ovn_k8s.windows.machine.services import Service


def content(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Manager:
    """A service control manager that keeps what it is told, and says what it was asked."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.running: set[str] = set()
        self.calls: list[str] = []
        self.broken: set[str] = set()

    def settings(self, name: str) -> dict[str, Any] | None:
        return self.known.get(name)

    def is_running(self, name: str) -> bool:
        return name in self.running

    def create(self, service: Service) -> None:
        self.calls.append(f"create {service.name}")
        self.known[service.name] = service.settings()

    def change(self, service: Service) -> None:
        self.calls.append(f"change {service.name}")
        self.known[service.name] = service.settings()

    def delete(self, name: str) -> None:
        self.calls.append(f"delete {name}")
        del self.known[name]

    def start(self, name: str) -> None:
        self.calls.append(f"start {name}")
        if name in self.broken:
            raise MachineError(f"service {name} does not start: it ended with error 1067")
        for other in self.known[name]["depends"]:
            if other in self.known and other not in self.running:
                self.start(other)
        self.running.add(name)

    def stop(self, name: str) -> list[str]:
        stopped = []
        for other, settings in self.known.items():
            if name in settings["depends"] and other in self.running:
                stopped += [other, *self.stop(other)]
        self.calls.append(f"stop {name}")
        self.running.discard(name)
        return stopped


class Netsh:
    """Rules by name, as netsh keeps them: adding one twice makes two."""

    def __init__(self) -> None:
        self.rules: dict[str, list[str]] = {}

    def __call__(self, arguments: Sequence[str]) -> tuple[int, str]:
        verb, _rule, name, *rest = arguments
        name = name.removeprefix("name=")
        if verb == "add":
            self.rules.setdefault(name, []).append(" ".join(rest))
            return 0, "Ok."
        if name not in self.rules:
            return 1, "Keine Regel entspricht den angegebenen Kriterien."
        if verb == "delete":
            del self.rules[name]
            return 0, "Ok."
        return 0, "\n".join(self.rules[name])


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record(tmp_path / "data")


def settle(record: Record, manager: Manager, netsh: Netsh, **request: Any) -> list[str]:
    """What a run says that it did; it must have said the same before, in check mode, and have nothing left after."""

    def run(check: bool) -> list[str]:
        changes: list[str] = program.settle({**request, "check": check}, record, manager, netsh)["changes"]
        return changes

    foretold = run(True)
    done = run(False)
    assert sorted(foretold) == sorted(done)
    assert run(False) == []
    return done


def test_a_machine_is_made_and_reset(tmp_path: Path, record: Record) -> None:
    manager, netsh = Manager(), Netsh()
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("theirs")
    config = tmp_path / "a" / "b" / "config.toml"
    request: dict[str, Any] = {
        "directories": [{"path": str(tmp_path / "private"), "private": True}],
        "files": [
            {"path": str(config), "content": content("one")},
            {"path": str(theirs), "content": content("ours"), "sensitive": True},
        ],
        "firewall": [{"name": "x", "protocol": "udp", "ports": "4789"}],
        "services": [
            {"name": "runtime", "command": "runtime.exe"},
            {"name": "agent", "command": "agent.exe", "depends": ["runtime"], "reads": [str(config)]},
        ],
    }
    done = settle(record, manager, netsh, **request)
    assert f"{theirs}: replaced" in done and "service agent: started" in done
    assert manager.running == {"runtime", "agent"} and len(netsh.rules["x"]) == 1
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700

    manager.calls.clear()
    request["files"][0]["content"] = content("two")
    assert settle(record, manager, netsh, **request) == [f"{config}: replaced", "service agent: restarted"]
    assert manager.calls == ["stop agent", "start agent"]

    again = Record.load(record.folder)
    for dry in (True, False):
        changes = services.undo(manager, again, dry=dry)
        changes += firewall.undo(again, dry=dry, netsh=netsh)
        changes += files.undo(again, dry=dry)
        assert len(changes) == 8, changes
        assert bool(manager.known) is dry
    assert (manager.known, netsh.rules, theirs.read_text()) == ({}, {}, "theirs")
    assert not config.exists() and not (tmp_path / "a").exists() and not (tmp_path / "private").exists()


def test_a_restart_takes_what_depends_along_and_starts_nothing_twice(tmp_path: Path, record: Record) -> None:
    manager, netsh = Manager(), Netsh()
    config = tmp_path / "config"
    wanted = [
        {"name": "runtime", "command": "runtime.exe", "reads": [str(config)]},
        {"name": "agent", "command": "agent.exe", "depends": ["runtime"], "reads": [str(config)]},
    ]
    manager.known["theirs"] = Service("theirs", "t.exe", depends=("runtime",)).settings()
    first = [{"path": str(config), "content": content("one")}]
    settle(record, manager, netsh, services=wanted, files=first)
    manager.running.add("theirs")
    manager.calls.clear()
    settle(record, manager, netsh, services=wanted, files=[{"path": str(config), "content": content("two")}])
    assert manager.calls == [
        "stop agent",
        "stop theirs",
        "stop runtime",
        "start runtime",
        "start agent",
        "start theirs",
    ]


def test_a_run_that_was_interrupted_is_made_up_for(tmp_path: Path, record: Record) -> None:
    manager, netsh = Manager(), Netsh()
    config = tmp_path / "config"
    wanted = [{"name": "agent", "command": "agent.exe", "reads": [str(config)]}]
    settle(record, manager, netsh, services=wanted, files=[{"path": str(config), "content": content("one")}])
    # The file was written, then the connection broke: nobody has started the service again.
    program.settle({"files": [{"path": str(config), "content": content("two")}]}, record, manager, netsh)
    later = Record.load(record.folder)
    assert settle(later, manager, netsh, services=wanted) == ["service agent: restarted"]


def test_settings_of_services_are_changed_and_states_kept(record: Record) -> None:
    manager, netsh = Manager(), Netsh()
    service: dict[str, Any] = {"name": "a", "command": "a.exe", "environment": {"X": "1"}, "depends": ["b"]}
    settle(record, manager, netsh, services=[service])
    for option, value in (("environment", {}), ("depends", []), ("start", "delayed"), ("recovery_ms", [5])):
        service[option] = value
        assert "service a: changed" in settle(record, manager, netsh, services=[service])
    assert manager.known["a"]["start"] == "delayed"
    assert settle(record, manager, netsh, services=[service | {"state": "stopped"}]) == ["service a: stopped"]
    assert settle(record, manager, netsh, services=[{"name": "a", "state": "absent"}]) == ["service a: removed"]


def test_a_service_that_does_not_start_says_why(tmp_path: Path, record: Record) -> None:
    manager = Manager()
    manager.broken.add("agent")
    log = tmp_path / "agent.log"
    log.write_text("cannot read agent.yaml")
    request = {"services": [{"name": "agent", "command": "agent.exe", "log": str(log)}]}
    with pytest.raises(MachineError, match=r"error 1067; the end of .*agent.log:\ncannot read agent.yaml"):
        program.settle(request, record, manager, Netsh())


def test_a_firewall_rule_that_somebody_changed_is_made_again(record: Record) -> None:
    manager, netsh = Manager(), Netsh()
    rule = {"name": "ovn-k8s: VXLAN", "protocol": "udp", "ports": "4789"}
    settle(record, manager, netsh, firewall=[rule])
    netsh.rules["ovn-k8s: VXLAN"] = ["enable=no"]
    assert settle(record, manager, netsh, firewall=[rule]) == ["firewall rule ovn-k8s: VXLAN: changed"]
    assert settle(record, manager, netsh, firewall=[rule | {"ports": "8472"}]) != []
    assert len(netsh.rules["ovn-k8s: VXLAN"]) == 1 and "localport=8472" in netsh.rules["ovn-k8s: VXLAN"][0]
    assert settle(record, manager, netsh, firewall=[rule | {"state": "absent"}]) != []
    assert netsh.rules == {}


@pytest.mark.parametrize(
    "request_",
    [
        {"firewall": [{"name": "x", "protocol": "icmp", "ports": "1"}]},
        {"firewall": [{"name": "x", "protocol": "tcp", "ports": "1 & del"}]},
        {"firewall": [{"name": "x", "protocol": "tcp", "ports": "1", "colour": "red"}]},
        {"services": [{"name": "x"}]},
        {"services": [{"name": "x", "command": "x", "state": "maybe"}]},
        {"services": [{"name": "x", "command": "x", "colour": "red"}]},
        {"files": [{"path": "x"}]},
        {"files": [{"path": "x", "content": "%%"}]},
    ],
)
def test_bad_requests_change_nothing(request_: dict[str, Any], record: Record) -> None:
    manager, netsh = Manager(), Netsh()
    with pytest.raises(MachineError):
        program.settle(request_, record, manager, netsh)
    assert (manager.calls, netsh.rules, record.folder.exists()) == ([], {}, False)


def test_large_files_are_asked_for_by_digest_and_checked(tmp_path: Path, record: Record) -> None:
    program_file = tmp_path / "kubelet.exe"
    whole = b"x" * LARGE
    digest = sha256(whole).hexdigest()
    request: dict[str, Any] = {"path": str(program_file), "sha256": digest}
    wanted = files.read_files({"files": [request]})
    assert files.missing(wanted, record) == [str(program_file)]
    with pytest.raises(MachineError, match="was not sent"):
        files.settle(wanted, record, dry=False)
    staged = tmp_path / "staged"
    staged.write_bytes(whole[:-1])
    with pytest.raises(MachineError, match="did not arrive whole"):
        files.settle(files.read_files({"files": [request | {"staged": str(staged)}]}), record, dry=False)
    staged.write_bytes(whole)
    files.settle(files.read_files({"files": [request | {"staged": str(staged)}]}), record, dry=False)
    assert program_file.read_bytes() == whole and not staged.exists()
    assert files.missing(wanted, record) == []
    assert list(tmp_path.glob("*.ovn-k8s-new")) == []


def test_a_program_that_runs_is_renamed_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, new = tmp_path / "kubelet.exe", tmp_path / "kubelet.exe.ovn-k8s-new"
    running.write_text("old")
    new.write_text("new")
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target.exists():
            raise PermissionError(13, "Access is denied")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    files.put(new, running)
    assert running.read_text() == "new" and (tmp_path / "kubelet.exe.ovn-k8s-old").read_text() == "old"


def bundle(base: Path, version: str, text: str = "launcher") -> None:
    (base / version / "bin").mkdir(parents=True)
    (base / version / "bin" / "cni.exe").write_text(text)
    manifest = {"files": {"bin/cni.exe": sha256(text.encode()).hexdigest()}}
    (base / version / "bundle.json").write_text(json.dumps(manifest))


def test_versions_are_switched_when_they_are_whole(tmp_path: Path) -> None:
    assert versions.check(tmp_path, "one") == {"whole": False, "used": False}
    bundle(tmp_path, "one")
    assert versions.check(tmp_path, "one") == {"whole": True, "used": False}
    assert versions.use(tmp_path, "one") == [str(tmp_path / "bin" / "cni.exe")]
    assert versions.check(tmp_path, "one") == {"whole": True, "used": True}
    bundle(tmp_path, "two", "newer")
    (tmp_path / "two" / "bin" / "cni.exe").write_text("cut off")
    with pytest.raises(MachineError, match="is not whole"):
        versions.use(tmp_path, "two")
    assert (tmp_path / "bin" / "cni.exe").read_text() == "launcher"
    (tmp_path / "two" / "bin" / "cni.exe").write_text("newer")
    versions.use(tmp_path, "two")
    assert versions.check(tmp_path, "one")["used"] is False
    assert versions.prune(tmp_path, "two") == [str(tmp_path / "one")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "two"]


def test_a_record_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(MachineError, match="is no record"):
        Record.load(tmp_path)


def test_a_machine_says_what_kind_of_node_it_is(tmp_path: Path) -> None:
    assert node.present(tmp_path) == {}
    (tmp_path / "node.toml").write_text('node_name = "win1"\n')
    assert node.present(tmp_path) == {"datapath": "hybrid_overlay", "runtime": "containerd"}
    (tmp_path / "node.toml").write_text('datapath = "ovs"\nruntime = "docker"\n')
    assert node.present(tmp_path) == {"datapath": "ovs", "runtime": "docker"}
    (tmp_path / "node.toml").write_text("broken")
    assert node.present(tmp_path) == {}
