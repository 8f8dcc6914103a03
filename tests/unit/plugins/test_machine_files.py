# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""host_files' work on a directory tree: compare, write, record, undo."""

from __future__ import annotations

import grp
import os
import pwd
from hashlib import sha256
from pathlib import Path

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.machine.files import (
    FilesError,
    Machine,
    WantedDirectory,
    WantedFile,
    parse_mode,
)
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.machine.record import Record

USER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


def wanted(path: Path, content: str, mode: int = 0o644, *, sensitive: bool = False) -> WantedFile:
    raw = content.encode()
    return WantedFile(str(path), mode, USER, GROUP, raw, sha256(raw).hexdigest(), sensitive=sensitive)


def machine(tmp_path: Path, *, dry: bool = False) -> Machine:
    return Machine(Record.load(str(tmp_path / "state")), dry=dry)


def tree(path: Path) -> dict[str, tuple[int, str]]:
    return {
        str(item.relative_to(path)): (item.lstat().st_mode, "" if item.is_dir() else item.read_text())
        for item in sorted(path.rglob("*"))
    }


def test_writes_once_and_then_nothing(tmp_path: Path) -> None:
    files = [wanted(tmp_path / "etc/a/b.conf", "one\n", 0o600), wanted(tmp_path / "etc/c", "two\n")]
    folders = [WantedDirectory(str(tmp_path / "var"), 0o700, USER, GROUP)]
    first = machine(tmp_path)
    first.apply(folders, files, [])
    paths = [str(tmp_path / name) for name in ("var", "etc/a/b.conf", "etc/c")]
    assert [change.path for change in first.changes] == paths
    assert (tmp_path / "etc/a/b.conf").stat().st_mode & 0o7777 == 0o600
    second = machine(tmp_path)
    second.apply(folders, files, [])
    assert second.changes == []


def test_check_mode_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("before\n")
    before = tree(tmp_path)
    dry = machine(tmp_path, dry=True)
    dry.apply([], [wanted(tmp_path / "old", "after\n"), wanted(tmp_path / "x/new", "n")], [])
    assert tree(tmp_path) == before
    assert [change.path for change in dry.changes] == [str(tmp_path / "old"), str(tmp_path / "x/new")]
    assert "before" in dry.changes[0].before and "after" in dry.changes[0].after


def test_a_mode_alone_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("k")
    path.chmod(0o644)
    work = machine(tmp_path)
    work.apply([], [wanted(path, "k", 0o600)], [])
    assert path.stat().st_mode & 0o777 == 0o600 and len(work.changes) == 1


def test_secrets_are_not_in_the_diff(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old-secret")
    work = machine(tmp_path, dry=True)
    work.apply([], [wanted(path, "new-secret", sensitive=True)], [])
    shown = str([change.as_diff() for change in work.changes])
    assert "old-secret" not in shown and "new-secret" not in shown


def test_reset_leaves_everything_as_it_was(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/theirs").write_text("theirs\n")
    (root / "etc/theirs").chmod(0o640)
    (root / "etc/gone").write_text("gone\n")
    (root / "etc/link").symlink_to("theirs")
    before = tree(root)
    for content in ("first\n", "second\n"):
        machine(tmp_path).apply(
            [WantedDirectory(str(root / "var/lib/daemon"), 0o700, USER, GROUP)],
            [
                wanted(root / "etc/theirs", content),
                wanted(root / "etc/link", content),
                wanted(root / "etc/new/deep", content),
            ],
            [str(root / "etc/gone")] if (root / "etc/gone").exists() else [],
        )
    (root / "var/lib/daemon/state").write_text("written by the daemon")
    assert not (root / "etc/gone").exists()
    machine(tmp_path).reset()
    assert tree(root) == before and (root / "etc/link").is_symlink()
    assert not (tmp_path / "state").exists()
    machine(tmp_path).reset()


def test_foreign_directories_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with pytest.raises(FilesError, match="did not make"):
        machine(tmp_path).apply([], [], [str(tmp_path / "theirs")])


def test_all_or_nothing_when_a_wish_is_impossible(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(FilesError, match="is a directory"):
        machine(tmp_path).apply([], [wanted(tmp_path / "a", "1"), wanted(tmp_path / "folder", "2")], [])
    assert not (tmp_path / "a").exists()
    for bad in ("relative", "/etc/../x", "/"):
        with pytest.raises(FilesError, match="absolute path"):
            machine(tmp_path).apply([], [], [bad])
    with pytest.raises(FilesError, match="named twice"):
        machine(tmp_path).apply([], [wanted(tmp_path / "a", "1"), wanted(tmp_path / "a", "2")], [])
    stranger = WantedFile(str(tmp_path / "a"), 0o644, "nobody-of-that-name", GROUP, b"", sha256(b"").hexdigest())
    with pytest.raises(FilesError, match="nobody-of-that-name"):
        machine(tmp_path).apply([], [stranger], [])


def test_large_files_are_asked_for_by_digest(tmp_path: Path) -> None:
    content = b"x" * (2 << 20)
    (tmp_path / "staged").write_bytes(content)
    dest = str(tmp_path / "bin")
    known = WantedFile(dest, 0o755, USER, GROUP, None, sha256(content).hexdigest())
    assert machine(tmp_path).missing([known]) == [dest]
    sent = WantedFile(dest, 0o755, USER, GROUP, None, known.digest, str(tmp_path / "staged"))
    machine(tmp_path).apply([], [sent], [])
    again = machine(tmp_path)
    assert again.missing([known]) == []
    again.apply([], [known], [])
    assert again.changes == []
    Path(dest).write_bytes(b"y" + content[1:])
    assert machine(tmp_path).missing([known]) == [dest]


@pytest.mark.parametrize("mode", [644, "rw", "8", "77777", None])
def test_modes_are_octal_strings(mode: object) -> None:
    with pytest.raises(FilesError):
        parse_mode(mode)
