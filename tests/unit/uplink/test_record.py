# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What is kept of a move, and the proof that somebody has come in anew."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ovn_k8s.uplink import session
from ovn_k8s.uplink.errors import NotYet, UplinkError
from ovn_k8s.uplink.kernel import Address, Facts, Route, Rule
from ovn_k8s.uplink.record import KEPT, MOVING, Record, load, load_all, originals, restore_files, save, write_files

FACTS = Facts(
    (Address(2, "192.0.2.2", 32, valid=60, preferred=60), Address(10, "2001:db8::2", 64)),
    (Route(2, "0.0.0.0/0", "198.51.100.1", metric=100, onlink=True, metrics={"mtu": 1400}),),
    (Rule(2, True, {"src_len": 0, "dst_len": 0, "tos": 0, "action": 1, "flags": 0}, {"FRA_TABLE": 77}),),
    {"ipv4/rp_filter": "2"},
    1460,
    "02:00:00:00:02:0e",
)


def record(tmp_path: Path) -> Record:
    files: dict[str, str | None] = {str(tmp_path / "etc/new"): "new\n", str(tmp_path / "etc/old"): None}
    return Record("ext0", "brext0", "netdev", "networkd", MOVING, 30.0, FACTS, files, originals(files))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    wanted = record(tmp_path)
    save(wanted, tmp_path / "records")
    assert load("ext0", tmp_path / "records") == wanted
    save(wanted.moved(KEPT), tmp_path / "records")
    assert [found.state for found in load_all(tmp_path / "records")] == [KEPT]
    assert load("ext1", tmp_path / "records") is None
    assert (tmp_path / "records/ext0.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "ext0.json").write_text('{"version": 9}')
    with pytest.raises(UplinkError, match=r"ext0\.json: cannot be read \(it is of another release\)"):
        load("ext0", tmp_path)


def test_files_are_put_back_with_mode_and_content(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    old = tmp_path / "etc/old"
    old.write_text("old\n")
    old.chmod(0o600)
    moved = record(tmp_path)
    write_files(moved.files, moved.before)
    assert not old.exists() and (tmp_path / "etc/new").read_text() == "new\n"
    before = (tmp_path / "etc/new").stat().st_mtime_ns
    write_files(moved.files, moved.before)
    assert (tmp_path / "etc/new").stat().st_mtime_ns == before, "a manager takes a new time for a change"
    restore_files(moved.before)
    assert old.read_text() == "old\n" and old.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "etc/new").exists()


def phase(directory: Path, name: str, since: float = 0.0) -> None:
    (directory / "run").mkdir(parents=True, exist_ok=True)
    (directory / "run/ext0.json").write_text(json.dumps({"phase": name, "error": "why", "since": since}))


def test_only_a_login_that_is_newer_than_the_move_confirms_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phase(tmp_path, "preparing")
    with pytest.raises(NotYet, match="is being moved"):
        session.confirm("ext0", tmp_path)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    phase(tmp_path, "moved", now)
    monkeypatch.setattr(session, "_login_since", lambda: now - 1)
    with pytest.raises(NotYet, match="older than the move"):
        session.confirm("ext0", tmp_path)
    assert not (tmp_path / "run/ext0.confirmed").exists()
    phase(tmp_path, "undone")
    with pytest.raises(UplinkError, match="nothing to confirm: undone, why"):
        session.confirm("ext0", tmp_path)


def test_the_time_of_a_login_is_that_of_its_own_sshd(tmp_path: Path) -> None:
    """A child that calls itself sshd stands for the daemon's process of one connection."""
    reader, writer = os.pipe()
    begun = time.clock_gettime(time.CLOCK_BOOTTIME)
    pid = os.fork()
    if not pid:
        Path("/proc/self/comm").write_text("sshd-session")
        os.write(writer, repr(session._login_since()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    since = float(os.read(reader, 100))
    assert begun - 0.1 <= since <= time.clock_gettime(time.CLOCK_BOOTTIME)
