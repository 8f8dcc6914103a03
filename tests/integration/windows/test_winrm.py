# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The stand-in's WinRM with the client that Ansible uses, over TLS and NTLM on loopback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from windows_machine import ROOT

from lab.windows import credentials
from lab.windows.bootstrap import Runner
from lab.windows.computer import Computer
from lab.windows.winrm.server import Listener
from lab.windows.winrm.shells import Command, Shells

winrm = pytest.importorskip("winrm")


class NoWine:
    """A computer that has a drive and runs nothing."""

    def __init__(self, drive: Path) -> None:
        self.drive = drive
        self.commands: list[tuple[str, ...]] = []

    def run(self, *command: str, **_: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        return subprocess.CompletedProcess(command, 0, "said", "")


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    made = Computer(tmp_path / "machine", tmp_path / "base", "win1")
    (tmp_path / "machine").mkdir()
    made.wine = NoWine(made.drive.root)
    made.drive.make_folder(r"C:\Users\Administrator\AppData\Local\Temp")
    made.memory.boot = time.time()
    return made


@pytest.fixture
def place(tmp_path: Path, computer: Computer, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    folder = tmp_path / "credentials"
    certificate, key = credentials.ensure(folder, "win1", ["127.0.0.1"])
    monkeypatch.setenv("NTLM_USER_FILE", str(folder / "accounts"))
    found = SimpleNamespace(folder=folder, connected=True, runner=Runner(computer))

    def run(command: Command) -> int:
        return found.runner(command)

    with Listener(("127.0.0.1", 0), Shells(run), certificate, key, lambda: found.connected) as listener:
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        found.port = listener.server_address[1]
        yield found
        listener.shutdown()


def client(place: SimpleNamespace, **options: object) -> winrm.protocol.Protocol:
    settings = {
        "transport": "ntlm",
        "username": "Administrator",
        "password": (place.folder / "password").read_text(),
        "ca_trust_path": str(place.folder / "ca.crt"),
        **options,
    }
    return winrm.protocol.Protocol(f"https://127.0.0.1:{place.port}/wsman", **settings)


def run(protocol: winrm.protocol.Protocol, command: str, *words: str) -> tuple[bytes, bytes, int]:
    shell = protocol.open_shell()
    started = protocol.run_command(shell, command, words)
    output = protocol.get_command_output(shell, started)
    protocol.cleanup_command(shell, started)
    protocol.close_shell(shell)
    return output


@pytest.mark.parametrize("encryption", ["auto", "always"])
def test_a_command_with_and_without_message_encryption(place: SimpleNamespace, encryption: str) -> None:
    assert run(client(place, message_encryption=encryption), "hostname") == (b"said", b"", 0)


def test_a_server_that_nobody_vouches_for_is_refused(place: SimpleNamespace) -> None:
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        client(place, ca_trust_path=None).open_shell()


@pytest.mark.parametrize("wrong", [{"password": "no"}, {"username": "Nobody"}])
def test_a_wrong_account_is_refused(place: SimpleNamespace, wrong: dict[str, str]) -> None:
    with pytest.raises(winrm.exceptions.InvalidCredentialsError):
        client(place, **wrong).open_shell()


def test_a_shell_that_is_gone_is_a_fault(place: SimpleNamespace) -> None:
    protocol = client(place)
    shell = protocol.open_shell()
    protocol.close_shell(shell)
    with pytest.raises(winrm.exceptions.WinRMError, match=r"2150858843|not found"):
        protocol.run_command(shell, "hostname", ())


def test_a_command_that_takes_longer_than_one_receive(place: SimpleNamespace) -> None:
    def slow(command: Command) -> int:
        time.sleep(2.5)
        command.say("late")
        return 3

    place.runner = slow
    assert run(client(place, operation_timeout_sec=1, read_timeout_sec=5), "x") == (b"late", b"", 3)


def test_while_the_network_is_broken_nobody_is_answered(place: SimpleNamespace) -> None:
    protocol = client(place)
    place.connected = False
    with pytest.raises(OSError, match=r"(?i)connection|closed"):
        protocol.open_shell()
    place.connected = True
    assert protocol.open_shell()


def test_powershell_that_nobody_taught_fails_loudly(place: SimpleNamespace) -> None:
    script = base64.b64encode("Get-Process".encode("utf-16-le")).decode()
    _, stderr, status = run(client(place), "powershell", "-EncodedCommand", script)
    assert status == 252
    assert b"nobody has taught this script" in stderr


# ---- Ansible itself

PLAY = r"""
- hosts: win1
  gather_facts: false
  tasks:
    - ansible.windows.win_ping:
    - ansible.windows.win_copy: {src: tree, dest: 'C:\Program Files\x\'}
      register: tree
    - ansible.windows.win_copy: {src: tree, dest: 'C:\Program Files\x\'}
      register: again
    - ansible.windows.win_stat: {path: 'C:\PROGRAM FILES\x\tree\sub\Ä.txt'}
      register: stat
    - ansible.windows.win_file: {path: 'C:\Program Files\x', state: absent}
      register: check
      check_mode: true
    - ansible.windows.win_feature: {name: [Containers], state: present}
      register: feature
    - ansible.windows.win_feature: {name: [Contaners]}
      register: misspelt
      ignore_errors: true
    - ansible.windows.win_command: {argv: ['C:\none.exe']}
      register: missing
      ignore_errors: true
    - ansible.windows.win_file: {path: 'C:\x', stat: absent}
      register: unknown
      ignore_errors: true
    - ansible.windows.win_shell: Get-Process
      register: shell
      ignore_errors: true
    - ansible.builtin.fetch: {src: 'C:\Program Files\x\tree\big.bin', dest: fetched, flat: true}
    - ansible.builtin.copy:
        content: "{{ {'tree': tree, 'again': again, 'stat': stat, 'check': check, 'feature': feature,
          'misspelt': misspelt, 'missing': missing, 'unknown': unknown, 'shell': shell} | to_json }}"
        dest: "{{ playbook_dir }}/results.json"
      delegate_to: localhost
      connection: local
"""


@pytest.fixture
def results(place: SimpleNamespace, tmp_path: Path) -> dict[str, dict[str, object]]:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/Ä.txt").write_text("a")
    (tmp_path / "tree/big.bin").write_bytes(os.urandom(1 << 20))
    (tmp_path / "play.yml").write_text(PLAY)
    host = {
        "ansible_host": "127.0.0.1",
        "ansible_connection": "winrm",
        "ansible_port": place.port,
        "ansible_user": "Administrator",
        "ansible_password": (place.folder / "password").read_text(),
        "ansible_winrm_transport": "ntlm",
        "ansible_winrm_ca_trust_path": str(place.folder / "ca.crt"),
        "ansible_winrm_message_encryption": "always",
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"win1": host}}}))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.json", "play.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOWS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "fetched").read_bytes() == (tmp_path / "tree/big.bin").read_bytes()
    found: dict[str, dict[str, object]] = json.loads((tmp_path / "results.json").read_text())
    return found


def test_what_ansible_asks_is_done_or_refused(results: dict[str, dict[str, object]], computer: Computer) -> None:
    changed = {name: result["changed"] for name, result in results.items()}
    assert changed == {
        "tree": True,
        "again": False,
        "stat": False,
        "check": True,
        "feature": True,
        "misspelt": False,
        "missing": False,
        "unknown": False,
        "shell": False,
    }
    assert results["stat"]["stat"]["exists"]
    assert results["feature"]["reboot_required"]
    assert "feature name is not valid" in results["misspelt"]["msg"]
    assert results["missing"]["rc"] == 2
    assert "Unsupported parameters" in results["unknown"]["msg"]
    assert "nobody has modelled win_shell" in results["shell"]["msg"]
    assert computer.memory.restart_needed
    assert not any(computer.drive.place(r"C:\Users\Administrator\AppData\Local\Temp").iterdir())
