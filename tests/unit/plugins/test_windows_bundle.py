# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The Windows bundle: same bytes every time, pinned parts only (evidence: unit; it runs in the tests with Wine)."""

from __future__ import annotations

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path, PureWindowsPath

import pytest
from ansible_collections.ovn_k8s.cluster.plugins.plugin_utils import windows_bundle, windows_parts

ROOT = Path(__file__).resolve().parents[3]
HERE = PureWindowsPath(r"C:\Program Files\ovn-k8s")


class SmallParts:
    """Parts as archives of a few bytes."""

    def python(self) -> dict[str, bytes]:
        return {"python.exe": b"MZ", "python313._pth": b"python313.zip\r\n"}

    def file(self, part: windows_parts.Part) -> bytes:
        members = {
            windows_parts.PYWIN32: {
                "win32/win32service.pyd": b"pyd",
                "win32/lib/pywintypes.py": b"x = 1",
                "win32/test/test_x.py": b"",
                "win32/libs/a.lib": b"",
                "pywin32_system32/pywintypes313.dll": b"dll",
                "pywin32_system32/pythoncom313.dll": b"dll",
                "pythonwin/pythonwin.exe": b"",
            },
            windows_parts.LAUNCHER: {"distlib/t64.exe": b"MZlauncher"},
        }[part]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
        return buffer.getvalue()


def build() -> dict[str, bytes]:
    return windows_bundle.bundle_files(ROOT, SmallParts(), HERE)  # type: ignore[arg-type]


def test_the_bundle_has_what_it_needs_and_no_more() -> None:
    files = build()
    assert files["pywintypes313.dll"] == b"dll"
    assert "site/win32/lib/pywintypes.py" in files
    assert "site/ovn_k8s/core/hns/plan.py" in files
    assert "site/ovn_k8s/windows/hns.py" in files
    left = [name for name in files if "test_x" in name or "pythonwin" in name or "netlink" in name or ".lib" in name]
    assert left == []
    assert b"site\\win32\\lib" in files["python313._pth"]


def test_the_same_bytes_every_time() -> None:
    assert windows_bundle.pack(build()) == windows_bundle.pack(build())
    with zipfile.ZipFile(io.BytesIO(windows_bundle.pack(build()))) as packed:
        assert packed.testzip() is None
        manifest = json.loads(packed.read("bundle.json"))
        for name, digest in manifest["files"].items():
            assert sha256(packed.read(name)).hexdigest() == digest


def test_a_launcher_is_an_executable_and_an_archive() -> None:
    made = windows_bundle.launcher(b"MZlauncher", "ovn_k8s.windows.hns", HERE)
    assert made.startswith(b'MZlauncher#!"C:\\Program Files\\ovn-k8s\\python.exe"\r\n')
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        assert b"from ovn_k8s.windows.hns import main" in packed.read("__main__.py")


def test_a_part_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / windows_parts.LAUNCHER.file).write_bytes(b"something else")
    (tmp_path / windows_parts.PYTHON_FILE).write_bytes(windows_bundle.pack({"python.exe": b"MZ"}))
    parts = windows_parts.Parts(tmp_path / "cache", tmp_path)
    with pytest.raises(windows_parts.PartError, match=r"distlib.* is not the pinned"):
        parts.file(windows_parts.LAUNCHER)
    with pytest.raises(windows_parts.PartError, match="does not hold the pinned CPython"):
        parts.python()
    (tmp_path / windows_parts.PYTHON_FILE).write_bytes(b"no archive")
    with pytest.raises(windows_parts.PartError, match="is no zip archive"):
        parts.python()


def test_a_broken_copy_in_the_cache_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"python.exe": b"MZ"}
    monkeypatch.setattr(windows_parts, "PYTHON_CONTENT", windows_parts.content_digest(files))
    monkeypatch.setattr(windows_parts, "_fetched", lambda url: windows_bundle.pack(files))
    for broken in (b"no archive", windows_bundle.pack({"python.exe": b"other"})):
        (tmp_path / windows_parts.PYTHON_FILE).write_bytes(broken)
        assert windows_parts.Parts(tmp_path).python() == files
        assert (tmp_path / windows_parts.PYTHON_FILE).read_bytes() == windows_bundle.pack(files)


def test_a_part_from_the_folder_is_taken_without_asking_anybody(tmp_path: Path) -> None:
    part = windows_parts.Part("x", "x.whl", sha256(b"content").hexdigest(), "x==1")
    (tmp_path / "x.whl").write_bytes(b"content")
    assert windows_parts.Parts(tmp_path / "cache", tmp_path).file(part) == b"content"
