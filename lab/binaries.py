# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Kubernetes, etcd and containerd: their released programs, or the same built from their Go modules.

The modules in ``lab/kubernetes/`` say which versions. A project whose release server does not answer within a few
seconds is built through the Go module proxy.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import golang
from .cache import Cache
from .progress import say, step
from .settings import TREE, LabError, Settings

ANSWER_SECONDS = 5.0
"""How long a release server may take to answer at all."""


@dataclass(frozen=True)
class Project:
    """One upstream project: its programs, where they are released, and how they are built."""

    name: str
    module: str
    programs: dict[str, str]
    """Program to the Go package that it is built from."""
    tags: str
    symbols: Callable[[str], str]
    """The linker's settings that tell the programs their version."""

    @property
    def folder(self) -> Path:
        return TREE / "kubernetes" / self.name

    @property
    def version(self) -> str:
        """As in 1.37.2."""
        text = (self.folder / "go.mod").read_text()
        match = re.search(rf"\b{re.escape(self.module)} v(\S+)", text)
        if not match:
            raise LabError(f"{self.folder}/go.mod does not require {self.module}")
        return match[1]


def _kubernetes_symbols(version: str) -> str:
    major, minor, _ = version.split(".", 2)
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())


KUBERNETES = Project(
    "kubernetes",
    "k8s.io/kubernetes",
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
    },
    "",
    _kubernetes_symbols,
)
ETCD = Project(
    "etcd",
    "go.etcd.io/etcd/server/v3",
    {"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"},
    "",
    lambda version: "",
)
CONTAINERD = Project(
    "containerd",
    "github.com/containerd/containerd/v2",
    {
        name: f"github.com/containerd/containerd/v2/cmd/{name}"
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    "no_btrfs no_devmapper no_zfs",
    lambda version: f"-X github.com/containerd/containerd/v2/version.Version=v{version}",
)
PROJECTS = (KUBERNETES, ETCD, CONTAINERD)


def ensure(settings: Settings, cache: Cache) -> Path:
    """Folder with all programs side by side, and SHA256SUMS."""
    if settings.binaries:
        missing = [name for p in PROJECTS for name in p.programs if not (settings.binaries / name).is_file()]
        if missing:
            raise LabError(f"LAB_BINARIES={settings.binaries} lacks {', '.join(missing)}")
        return settings.binaries
    title = ", ".join(f"{project.name} {project.version}" for project in PROJECTS)
    return cache.entry(
        "binaries",
        title,
        [title, settings.architecture, TREE / "kubernetes", *(f"{p.name} {p.tags} {p.programs}" for p in PROJECTS)],
        lambda folder: _make(settings, cache, folder),
    )


def _make(settings: Settings, cache: Cache, folder: Path) -> None:
    for project in PROJECTS:
        try:
            _download(project, settings.architecture, folder)
            say(f"{project.name} {project.version}: released programs")
        except (OSError, http.client.HTTPException) as error:  # no address, no route, no answer, half an answer
            say(f"{project.name} {project.version}: no release to be had ({error}); building it, which takes minutes")
            go = golang.ensure(settings, cache)
            symbols = project.symbols(project.version)
            for name, package in project.programs.items():
                with step(f"build {name}"):
                    golang.build(go, project.folder, folder / name, package, symbols=symbols, tags=project.tags)
    programs = sorted(name for project in PROJECTS for name in project.programs)
    for name in programs:
        (folder / name).chmod(0o755)
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in programs]
    (folder / "SHA256SUMS").write_text("".join(sums))


def _download(project: Project, architecture: str, folder: Path) -> None:
    """Fetch a project's released programs and compare them with the checksums that the project publishes."""
    version = project.version
    if project is KUBERNETES:
        for name in project.programs:
            url = f"https://dl.k8s.io/v{version}/bin/linux/{architecture}/{name}"
            _fetch(url, _text(f"{url}.sha256").split()[0], folder / name)
        return
    if project is ETCD:
        base = f"https://github.com/etcd-io/etcd/releases/download/v{version}"
        archive = f"etcd-v{version}-linux-{architecture}.tar.gz"
        sums = _text(f"{base}/SHA256SUMS")
    else:
        base = f"https://github.com/containerd/containerd/releases/download/v{version}"
        archive = f"containerd-static-{version}-linux-{architecture}.tar.gz"
        sums = _text(f"{base}/{archive}.sha256sum")
    published = {line.split()[1].lstrip("*"): line.split()[0] for line in sums.splitlines() if len(line.split()) == 2}
    if archive not in published:
        raise LabError(f"{base}: no checksum is published for {archive}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        _fetch(f"{base}/{archive}", published[archive], Path(temporary) / archive)
        with tarfile.open(Path(temporary) / archive) as members:
            for member in members:
                name = member.name.rsplit("/", 1)[-1]
                content = members.extractfile(member) if name in project.programs and member.isfile() else None
                if content:
                    with (folder / name).open("wb") as out:
                        shutil.copyfileobj(content, out)


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as response:
        content: bytes = response.read(1 << 20)
    return content.decode()


def _fetch(url: str, sha256: str, target: Path) -> None:
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=60) as response, target.open("wb") as out:
        while block := response.read(1 << 20):
            digest.update(block)
            out.write(block)
    if digest.hexdigest() != sha256:
        raise LabError(f"{url} has the SHA-256 {digest.hexdigest()}, but {sha256} is published: not used")
