# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
from __future__ import annotations

from pathlib import Path

import pytest

from lab.windows.drive import Drive, DriveError


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path, {"ProgramData": r"C:\ProgramData"})


def test_a_name_is_found_whatever_its_case(drive: Drive) -> None:
    drive.make_folder(r"C:\Program Files\Ovn")
    drive.write(r"c:\program files\OVN\a.TXT", b"1")
    drive.write(r"C:\Program Files\Ovn\A.txt", b"2")
    assert drive.read("C:/PROGRAM FILES/ovn/a.txt") == b"2"
    assert [entry.name for entry in (drive.root / "Program Files" / "Ovn").iterdir()] == ["a.TXT"]


def test_variables_are_put_in_and_no_path_leads_out(drive: Drive) -> None:
    assert drive.expand(r"%programdata%\x\..\y") == r"C:\ProgramData\y"
    assert drive.place(r"C:\..\..\etc").parent == drive.root


@pytest.mark.parametrize("path", [r"D:\x", r"C:\a<b", r"C:\nul", r"C:\x\com1.txt", r"\\server\share\x"])
def test_paths_that_windows_refuses(drive: Drive, path: str) -> None:
    with pytest.raises(DriveError):
        drive.place(path)


def test_a_file_needs_its_folder(drive: Drive) -> None:
    with pytest.raises(DriveError, match="Could not find a part of the path"):
        drive.write(r"C:\none\a.txt", b"")
    with pytest.raises(DriveError, match="does not exist"):
        drive.remove(r"C:\none")


def test_a_file_that_machines_share_is_replaced_and_not_written_into(drive: Drive, tmp_path: Path) -> None:
    drive.write(r"C:\a", b"base")
    other = tmp_path / "other"
    other.hardlink_to(drive.place(r"C:\a"))
    drive.write(r"C:\a", b"new")
    assert other.read_bytes() == b"base"
