# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The programs' archive is the same everywhere, and unpacks to what it was made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.module_utils.machine import program_tree
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils.program_archive import archive, program_files

ROOT = Path(__file__).resolve().parents[3]


def test_the_archive_holds_programs_and_shared_code() -> None:
    files = program_files(ROOT)
    assert {"ovn_k8s/__init__.py", "ovn_k8s/core/addresses.py", program_tree.SHIM_SOURCE} <= set(files)
    assert not any("__pycache__" in name for name in files)


def test_same_sources_same_bytes() -> None:
    files = program_files(ROOT)
    assert archive(files) == archive(dict(reversed(files.items())))
    assert archive(files)[0] != archive({**files, "ovn_k8s/new.py": b""})[0]


def test_an_incomplete_collection_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not whole"):
        program_files(tmp_path)


def test_install_switch_and_clean_up(tmp_path: Path) -> None:
    root = tmp_path / "opt"
    digest, packed = archive(program_files(ROOT))
    (root / "older").mkdir(parents=True)
    program_tree.unpack(packed, digest, root)
    assert program_tree.installed_digest(root / digest) == digest
    program_tree.switch("older", root)
    program_tree.switch(digest, root)
    assert program_tree.current(root) == digest
    assert program_tree.old_versions(digest, root) == [root / "older"]
    with pytest.raises(ValueError, match="damaged"):
        program_tree.unpack(packed, "0" * 16, root)
    assert {path.name for path in root.iterdir()} == {digest, "current", "older"}


def test_a_launcher_finds_the_code_through_the_link(tmp_path: Path) -> None:
    digest, packed = archive({"ovn_k8s/__init__.py": b"", "ovn_k8s/x.py": b"def main():\n    return 7\n"})
    program_tree.unpack(packed, digest, tmp_path)
    program_tree.switch(digest, tmp_path)
    script = tmp_path / "launcher"
    script.write_bytes(program_tree.launcher("ovn_k8s.x", tmp_path))
    assert subprocess.run([sys.executable, "-I", script], check=False).returncode == 7
