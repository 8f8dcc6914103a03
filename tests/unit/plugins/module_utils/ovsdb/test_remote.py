# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.errors import ConnectionFailed, TlsFailed
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.ovsdb.remote import (
    Remote,
    Tls,
    parse_remote,
    parse_remotes,
)


@pytest.mark.parametrize(
    ("text", "remote"),
    [
        ("unix:/run/ovn/ovnnb_db.sock", Remote("unix", "/run/ovn/ovnnb_db.sock")),
        ("tcp:192.0.2.1:6641", Remote("tcp", "192.0.2.1", 6641)),
        ("ssl:db.example.org:6642", Remote("ssl", "db.example.org", 6642)),
        ("ssl:[2001:db8::1]:6642", Remote("ssl", "2001:db8::1", 6642)),
    ],
)
def test_remotes(text: str, remote: Remote) -> None:
    assert parse_remote(text) == remote
    assert str(remote) == text


@pytest.mark.parametrize(
    "text", ["", "unix:", "tcp:192.0.2.1", "tcp::6641", "tcp:a:0", "tcp:a:65536", "tcp:a:b", "ptcp:6641", "http:a:1"]
)
def test_what_is_no_remote(text: str) -> None:
    with pytest.raises(ValueError, match="is no database remote; write unix:/path, tcp:host:port or ssl:host:port"):
        parse_remote(text)


def test_members_of_a_cluster() -> None:
    assert parse_remotes("tcp:a:1, tcp:b:2") == (Remote("tcp", "a", 1), Remote("tcp", "b", 2))


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="there is no such socket; is ovsdb-server running"):
        Remote("unix", str(tmp_path / "db.sock")).connect(1, None)


def test_files_of_tls(tmp_path: Path) -> None:
    absent = Tls(str(tmp_path / "key"), str(tmp_path / "crt"), str(tmp_path / "ca"))
    with pytest.raises(TlsFailed, match=r"cannot read .*key: No such file"):
        absent.context()
    for name in ("key", "crt", "ca"):
        (tmp_path / name).write_text("nonsense")
    with pytest.raises(TlsFailed, match="is no usable PEM"):
        absent.context()
