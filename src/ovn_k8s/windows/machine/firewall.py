# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Rules of the Windows firewall, through netsh.exe.

What netsh prints is in the language of the machine, so it is not read: a rule is as wanted when it was made for the
same wish and netsh still shows it as it did then.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from .errors import MachineError
from .files import Change
from .record import Record

NETSH_SECONDS = 60
_PORTS = re.compile(r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*")

Netsh = Callable[[Sequence[str]], tuple[int, str]]


@dataclass(frozen=True)
class Rule:
    """Incoming packets that are let in. `remote` is an address, a network or `any`."""

    name: str
    protocol: str
    ports: str
    remote: str = "any"
    description: str = ""
    state: str = "present"


def read_rules(items: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """The part `firewall` of a request. Raises MachineError."""
    result = []
    for item in items:
        try:
            rule = Rule(**item)
        except TypeError as error:
            raise MachineError(f"firewall rule {item.get('name')!r}: {error}") from error
        if rule.protocol not in ("tcp", "udp") or not _PORTS.fullmatch(rule.ports) or '"' in rule.name:
            raise MachineError(f"firewall rule {rule.name!r}: protocol is tcp or udp, ports are numbers, ranges, lists")
        result.append(rule)
    return tuple(result)


def run_netsh(arguments: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of `netsh.exe advfirewall firewall …`."""
    command = ["netsh.exe", "advfirewall", "firewall", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=NETSH_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"netsh.exe does not work: {error}") from error
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def settle(wanted: Sequence[Rule], record: Record, *, dry: bool, netsh: Netsh = run_netsh) -> list[Change]:
    """Make rules as wanted; what that took. With `dry` only say it. Raises MachineError."""
    changes = []
    for rule in wanted:
        code, shown = netsh(("show", "rule", f"name={rule.name}", "verbose"))
        is_there = code == 0
        if rule.state == "absent":
            if is_there:
                changes.append(Change(f"firewall rule {rule.name}", "removed"))
                if not dry:
                    _delete(rule.name, record, netsh)
        elif not is_there or record.rules.get(rule.name) != _mark(rule, shown):
            verb = "changed" if is_there else "made"
            changes.append(Change(f"firewall rule {rule.name}", verb, None, f"{rule.protocol} {rule.ports}\n"))
            if not dry:
                if is_there:
                    _delete(rule.name, record, netsh)
                _add(rule, record, netsh)
    return changes


def undo(record: Record, *, dry: bool, netsh: Netsh = run_netsh) -> list[Change]:
    """Remove all rules that were made. Raises MachineError."""
    rules = [Rule(name, "tcp", "0", state="absent") for name in record.rules]
    changes = settle(rules, record, dry=dry, netsh=netsh)
    if not dry:
        record.rules.clear()
        record.save()
    return changes


def _add(rule: Rule, record: Record, netsh: Netsh) -> None:
    record.rules[rule.name] = ""
    record.save()
    arguments = ["add", "rule", f"name={rule.name}", "dir=in", "action=allow", "enable=yes", "profile=any"]
    arguments += [f"protocol={rule.protocol.upper()}", f"localport={rule.ports}", f"remoteip={rule.remote}"]
    if rule.description:
        arguments.append(f"description={rule.description}")
    code, said = netsh(arguments)
    if code:
        raise MachineError(f"firewall rule {rule.name} cannot be made: {said.strip() or code}")
    code, shown = netsh(("show", "rule", f"name={rule.name}", "verbose"))
    if code:
        raise MachineError(
            f"firewall rule {rule.name} was made, but netsh does not show it; does the service mpssvc run?"
        )
    record.rules[rule.name] = _mark(rule, shown)
    record.save()


def _delete(name: str, record: Record, netsh: Netsh) -> None:
    code, said = netsh(("delete", "rule", f"name={name}"))
    if code:
        raise MachineError(f"firewall rule {name} cannot be removed: {said.strip() or code}")
    record.rules.pop(name, None)
    record.save()


def _mark(rule: Rule, shown: str) -> str:
    return sha256(f"{sorted(asdict(rule).items())}\n{shown}".encode()).hexdigest()
