# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A move as a process of its own, which undoes it unless somebody who has come in anew says that it is good.

The process is a transient unit of systemd, so it outlives the login that has started it. What it has come to is in
/run/ovn-k8s/uplink/<nic>.json: {"phase": "preparing" | "moved" | "kept" | "undone", "error": text, "since": seconds
since boot}; the confirmation is the file <nic>.confirmed beside it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import NotYet, UplinkError
from .move import Machine
from .record import DIRECTORY, KEPT, MOVING, RETURNING, Record, load, load_all, remove, save

LOG = logging.getLogger(__name__)
_RUN = Path("/run/ovn-k8s/uplink")
GUARD = "ovn-k8s-uplink-guard.service"
UNITS = Path("/etc/systemd/system")
START = "ovn-k8s-uplink.service"
GRACE_SECONDS = 60.0
"""What systemd gives the process beyond the time for a confirmation."""
CONFIRM_SECONDS = 20.0
UNDO_SECONDS = 1.0
"""What undoing takes, usually: it is over when the time for the confirmation is."""
_TICKS = os.sysconf("SC_CLK_TCK")
_GUARD_UNIT = """\
# Written by ovn-k8s-overlay for the time of a move: a power cut in the middle of it leads back to what was before.
[Unit]
Description=Undo moves of network interfaces that nobody has confirmed
DefaultDependencies=no
After=local-fs.target ovsdb-server.service
Before=ovs-vswitchd.service systemd-networkd.service networking.service NetworkManager.service
ConditionDirectoryNotEmpty=/var/lib/ovn-k8s/uplink

[Service]
Type=oneshot
ExecStart={program} uplink at-boot
"""
_START_UNIT = """\
# Written by ovn-k8s-overlay nics-to-bridge; bridge-to-nics removes it.
[Unit]
Description=Interfaces that were moved onto a bridge
After=ovs-vswitchd.service
PartOf=ovs-vswitchd.service
Before=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} uplink start
"""


def begin(record: Record, directory: Path, *, foreground: Machine | None = None) -> None:
    """Start a move that `record` describes. With `foreground` it is done by this process.

    Raises:
        UplinkError: systemd refuses, or (in the foreground) the move was undone.
    """
    if not foreground and not _until(lambda: _ended(record.nic), GRACE_SECONDS):
        raise UplinkError(f"{unit(record.nic)}, which has moved {record.nic} before, does not end")
    _run(directory).mkdir(mode=0o755, parents=True, exist_ok=True)
    _confirmation(record.nic, directory).unlink(missing_ok=True)
    if directory == DIRECTORY:
        _guard()
    save(record, directory)
    _tell(directory, record.nic, "preparing")
    if foreground:
        run(record.nic, foreground)
        state = status(record.nic, directory)
        if state["phase"] == "undone":
            raise UplinkError(f"{record.nic}: undone: {state['error']}")
        return
    undo = " ".join([*program(), "uplink", "undo", record.nic])
    command = ["systemd-run", "--quiet", "--collect", "--no-block", f"--unit={unit(record.nic)}"]
    command += [f"--description=Moves {record.nic}, and back unless confirmed", "--property=KillMode=process"]
    command += [f"--property=RuntimeMaxSec={record.seconds + GRACE_SECONDS:g}", f"--property=ExecStopPost={undo}"]
    command += [*program(), "uplink", "run", record.nic]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        _end(record, directory)
        raise UplinkError(f"systemd-run: {done.stderr.strip()}")


def _end(record: Record, directory: Path) -> None:
    """Nothing has happened."""
    if record.state == RETURNING:
        save(record.moved(KEPT), directory)
    else:
        remove(record.nic, directory)
    settle_units(directory)


def run(nic: str, machine: Machine) -> None:
    """Carry out the move that is recorded, wait for its confirmation, and keep or undo it."""
    with (_run(machine.directory) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = load(nic, machine.directory)
        if record is None or record.state == KEPT:
            return
        deadline = time.monotonic() + max(record.seconds - UNDO_SECONDS, 0)
        try:
            machine.move(record) if record.state == MOVING else machine.give_back(record)
            _tell(machine.directory, nic, "moved")
            if record.seconds and not _confirmed(_confirmation(nic, machine.directory), deadline):
                raise UplinkError(f"nobody has confirmed it within {record.seconds:g} s")
        except Exception as error:  # whatever it is, people must get in again
            LOG.error("%s: %s", nic, error)
            machine.undo(record)
            settle_units(machine.directory)
            _tell(machine.directory, nic, "undone", str(error))
            return
        if record.state == MOVING:
            machine.keep(record)
        else:
            remove(nic, machine.directory)
        settle_units(machine.directory)
        _tell(machine.directory, nic, "kept")


def undo(nic: str, machine: Machine) -> None:
    """What is left to be done when the process of a move has ended, however it has."""
    with (_run(machine.directory) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = load(nic, machine.directory)
        if record and record.state != KEPT:
            machine.undo(record)
            _tell(machine.directory, nic, "undone", "the process that moved it has ended")
        settle_units(machine.directory)


def confirm(nic: str, directory: Path) -> None:
    """Say that the machine can be reached.

    Raises:
        NotYet: it is not moved yet, or the caller has come in by a connection that is older than the move, which
            proves nothing.
        UplinkError: there is nothing to confirm, or it was undone.
    """
    state = status(nic, directory)
    if state["phase"] == "preparing":
        raise NotYet(f"{nic}: is being moved; confirm it from a new connection")
    if state["phase"] == "kept":
        return
    if state["phase"] != "moved":
        raise UplinkError(f"{nic}: nothing to confirm" + (f": undone, {state['error']}" if state["error"] else ""))
    came = _login_since()
    if came is not None and came < state["since"]:
        raise NotYet(f"{nic}: this login is older than the move; confirm from a new connection")
    _confirmation(nic, directory).touch()
    if (
        not _until(lambda: status(nic, directory)["phase"] != "moved", CONFIRM_SECONDS)
        or status(nic, directory)["phase"] != "kept"
    ):
        raise UplinkError(f"{nic}: too late: {status(nic, directory)['error'] or 'it is not kept'}")


def status(nic: str, directory: Path) -> dict[str, Any]:
    """What the last move of a NIC has come to; phase "none" when there was none since the machine has started."""
    try:
        found: dict[str, Any] = json.loads((_run(directory) / f"{nic}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {"phase": "none", "error": "", "since": 0.0}
    return found


def program() -> list[str]:
    """How this program is called again."""
    own = Path(sys.argv[0])
    if own.name == "ovn-k8s-overlay":
        return [str(own.resolve() if own.exists() else Path(shutil.which(own.name) or own))]
    return [sys.executable, "-m", "ovn_k8s.overlay"]


def unit(nic: str) -> str:
    """The transient unit's name."""
    return f"ovn-k8s-uplink-{re.sub(r'[^A-Za-z0-9_.-]', '_', nic)}.service"


def _ended(nic: str) -> bool:
    """Whether the unit of the move before is over; until then it would take a new move for its own, and undo it."""
    command = ["systemctl", "show", "--property=ActiveState", "--value", unit(nic)]
    state = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return state not in ("activating", "active", "deactivating")


def _run(directory: Path) -> Path:
    """Where a move says how far it is: gone after a reboot, unlike the records."""
    return _RUN if directory == DIRECTORY else directory / "run"


def _tell(directory: Path, nic: str, phase: str, error: str = "") -> None:
    new = _run(directory) / f".{nic}.new"
    new.write_text(json.dumps({"phase": phase, "error": error, "since": time.clock_gettime(time.CLOCK_BOOTTIME)}))
    new.replace(_run(directory) / f"{nic}.json")


def _confirmation(nic: str, directory: Path) -> Path:
    return _run(directory) / f"{nic}.confirmed"


def _confirmed(path: Path, deadline: float) -> bool:
    if not _until(path.exists, deadline - time.monotonic()):
        return False
    path.unlink()
    return True


def _until(probe: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _guard() -> None:
    """Have the unit that undoes unconfirmed moves at the next boot. Without systemd there is nothing to boot."""
    if UNITS.is_dir():
        _have_unit(GUARD, _GUARD_UNIT)
        os.sync()


def settle_units(directory: Path, *, reload: bool = True) -> None:
    """Once a move is kept or undone, the guard goes; what has to be done at each boot is there while it is needed.

    With `reload` systemd learns of it now, which is not for a unit that runs at boot.
    """
    if directory != DIRECTORY or not UNITS.is_dir():
        return
    records = load_all(directory)
    if all(record.state == KEPT for record in records):
        _drop_unit(GUARD)
    if any(record.state == KEPT for record in records):
        _have_unit(START, _START_UNIT)
    else:
        _drop_unit(START)
    if reload:
        subprocess.run(["systemctl", "daemon-reload"], check=False, capture_output=True)


def _have_unit(name: str, text: str) -> None:
    (UNITS / name).write_text(text.format(program=" ".join(program())))
    link = UNITS / "ovs-vswitchd.service.wants" / name
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(UNITS / name)


def _drop_unit(name: str) -> None:
    folder = UNITS / "ovs-vswitchd.service.wants"
    (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    (UNITS / name).unlink(missing_ok=True)


def _login_since() -> float | None:
    """When sshd took the connection that this process belongs to, in seconds since boot; None without sshd."""
    pid = os.getpid()
    while pid > 1:
        try:
            text = Path(f"/proc/{pid}/stat").read_text("utf-8")
        except OSError:
            return None
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        if name.startswith("sshd"):
            return int(fields[19]) / _TICKS
        pid = int(fields[1])
    return None
