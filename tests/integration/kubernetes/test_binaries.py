# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Executables: downloaded, checked, sent through the action plugin, installed, removed."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from module_runner import ModuleFailed, collections_path, run_module

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to root")


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address that it is served at."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_release_is_downloaded_once(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = site
    (folder / "kubectl").write_bytes(b"kubectl")
    (folder / "kubectl.sha256").write_text(digest(b"kubectl"), encoding="ascii")
    cache = tmp_path / "cache"
    artifact = {"name": "kubectl", "url": f"{address}/kubectl", "checksum_url": f"{address}/kubectl.sha256"}
    options = {"dest": str(cache), "artifacts": [artifact]}
    assert run_module("kubernetes_release", check=True, **options)["downloaded"] == ["kubectl"]
    assert not cache.exists()
    assert run_module("kubernetes_release", **options)["changed"]
    assert (cache / "SHA256SUMS").read_text(encoding="ascii") == f"{digest(b'kubectl')}  kubectl\n"
    (folder / "kubectl").unlink()
    assert not run_module("kubernetes_release", **options)["changed"]


def test_release_that_is_not_there_or_not_right(site: tuple[Path, str], tmp_path: Path) -> None:
    folder, address = site
    artifact = {"name": "kubectl", "url": f"{address}/kubectl", "checksum_url": f"{address}/kubectl.sha256"}
    options = {"dest": str(tmp_path / "cache"), "artifacts": [artifact], "retries": 0}
    with pytest.raises(ModuleFailed, match=r"kubectl\.sha256 could not be downloaded: .*404.*kubernetes_binaries_dir"):
        run_module("kubernetes_release", **options)
    (folder / "kubectl").write_bytes(b"something else")
    (folder / "kubectl.sha256").write_text(digest(b"kubectl"), encoding="ascii")
    with pytest.raises(ModuleFailed, match="has the SHA-256 digest"):
        run_module("kubernetes_release", **options)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


class Machine:
    """A directory for executables and the record of them, worked on through ansible-playbook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.bin = folder / "bin"
        self.record = folder / "state" / "binaries.json"
        self.source.mkdir()
        self.bin.mkdir()

    def offer(self, **contents: bytes) -> None:
        """Put executables into the source folder."""
        for name, content in contents.items():
            (self.source / name).write_bytes(content)
        lines = [f"{digest(path.read_bytes())}  {path.name}\n" for path in self.source.iterdir() if path.suffix == ""]
        (self.source / "SHA256SUMS.new").write_text("".join(sorted(lines)), encoding="ascii")
        (self.source / "SHA256SUMS.new").rename(self.source / "SHA256SUMS")

    def play(self, *options: str, **arguments: Any) -> subprocess.CompletedProcess[str]:
        task = {"dest": str(self.bin), "record": str(self.record), **arguments}
        play = [
            {
                "hosts": "all",
                "connection": "local",
                "gather_facts": False,
                "tasks": [{"name": "Binaries", "ovn_k8s.cluster.kubernetes_binaries": task}],
            }
        ]
        (self.folder / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
        return subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-i", "machine,", *options, "play.yml"],
            cwd=self.folder,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(collections_path()),
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
                "ANSIBLE_REMOTE_TEMP": str(self.folder / "tmp"),
                "ANSIBLE_NOCOLOR": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self, *names: str, options: tuple[str, ...] = ()) -> bool:
        """Whether something changed."""
        run = self.play(*options, source=str(self.source), names=list(names))
        assert run.returncode == 0, run.stdout
        return "changed=1" in run.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_life_of_executables(machine: Machine) -> None:
    (machine.bin / "ctr").write_bytes(b"somebody else's")
    machine.offer(kubelet=b"kubelet 1", ctr=b"ctr 1", other=b"for other machines")
    assert machine.install("kubelet", "ctr", options=("--check",))
    assert not (machine.bin / "kubelet").exists()
    assert machine.install("kubelet", "ctr")
    assert (machine.bin / "kubelet").read_bytes() == b"kubelet 1"
    assert (machine.bin / "kubelet").stat().st_mode & 0o7777 == 0o755
    assert (machine.bin / "ctr").read_bytes() == b"ctr 1"
    assert not (machine.bin / "other").exists()
    assert not machine.install("kubelet", "ctr")

    machine.offer(kubelet=b"kubelet 2")
    (machine.bin / "ctr").write_bytes(b"damaged")
    assert machine.install("kubelet", "ctr")
    assert (machine.bin / "kubelet").read_bytes() == b"kubelet 2"
    assert (machine.bin / "ctr").read_bytes() == b"ctr 1"

    run = machine.play(state="absent")
    assert run.returncode == 0, run.stdout
    assert [path.name for path in machine.bin.iterdir()] == ["ctr"]
    assert (machine.bin / "ctr").read_bytes() == b"somebody else's"
    assert not machine.record.parent.exists()
    assert "changed=0" in machine.play(state="absent").stdout


def test_reset_leaves_what_others_have_changed_since(machine: Machine) -> None:
    machine.offer(kubelet=b"kubelet 1")
    machine.install("kubelet")
    (machine.bin / "kubelet").write_bytes(b"hand-made")
    machine.play(state="absent")
    assert (machine.bin / "kubelet").read_bytes() == b"hand-made"


def test_a_reset_that_was_cut_off_still_puts_back_what_was_there_before(machine: Machine) -> None:
    (machine.bin / "ctr").write_bytes(b"somebody else's")
    machine.offer(ctr=b"ctr 1")
    machine.install("ctr")
    (machine.bin / "ctr").unlink()
    assert "changed=1" in machine.play(state="absent").stdout
    assert (machine.bin / "ctr").read_bytes() == b"somebody else's"
    assert not machine.record.parent.exists()


def test_a_wrong_file_replaces_nothing(machine: Machine) -> None:
    machine.offer(kubelet=b"kubelet 1")
    machine.install("kubelet")
    machine.offer(kubelet=b"kubelet 2")
    (machine.source / "kubelet").write_bytes(b"not what SHA256SUMS says")
    run = machine.play(source=str(machine.source), names=["kubelet"])
    assert run.returncode != 0
    assert "does not match its SHA256SUMS" in " ".join(run.stdout.split())
    assert (machine.bin / "kubelet").read_bytes() == b"kubelet 1"


def test_a_missing_file_is_named_before_anything_is_sent(machine: Machine) -> None:
    machine.offer(kubelet=b"kubelet 1")
    run = machine.play(source=str(machine.source), names=["kubelet", "ctr"])
    assert run.returncode != 0
    assert f"{machine.source} has no ctr" in " ".join(run.stdout.split())
    assert list(machine.bin.iterdir()) == []
