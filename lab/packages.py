# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The package folder that the machines install from: an apt repository with all that a blank machine lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

from .cache import Cache
from .processes import run
from .root import package_list, sources
from .settings import TREE, Settings


def ensure(settings: Settings, cache: Cache, root: Path) -> Path:
    """Folder of the repository for machines that start from ``root``."""
    return cache.entry(
        f"packages-{settings.release}",
        "packages that the machines can install",
        [root.parent.name, *sources(settings), TREE / "node-packages.txt", Path(__file__)],
        lambda folder: _make(settings, root, folder),
    )


def _make(settings: Settings, root: Path, folder: Path) -> None:
    # apt of the machines' own Debian, in a copy of their root that is thrown away, knows best what is missing there.
    work = folder.parent / "apt"
    for part in ("upper", "work", "root"):
        (work / part).mkdir(parents=True)
    script = """
set -e
mount -t overlay packages -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
cp /etc/resolv.conf "$2/root/etc/resolv.conf"
mkdir -p "$2/root/out/partial"
mount --bind "$3" "$2/root/out"
mkdir -p "$2/root/out/partial"
cat > "$2/root/etc/apt/sources.list"
proxy=; eval "$(apt-config shell proxy Acquire::http::Proxy)"
shift 3
apt() { chroot "$work/root" apt-get -q -o APT::Sandbox::User=root -o Acquire::http::Proxy="$proxy" "$@"; }
apt update
apt install --yes --no-install-recommends --download-only -o Dir::Cache::archives=/out "$@"
"""
    command = ["unshare", "--mount", "--propagation=private", "env", f"work={work}", "sh", "-c", script, "sh"]
    command += [str(root), str(work), str(folder), *package_list("node-packages.txt")]
    run(command, stdin="".join(f"{line}\n" for line in sources(settings)))
    shutil.rmtree(work)
    shutil.rmtree(folder / "partial", ignore_errors=True)
    (folder / "lock").unlink(missing_ok=True)
    for package in folder.glob("*.deb"):
        package.chmod(0o644)
    (folder / "Packages").write_text(run(["apt-ftparchive", "packages", "."], cwd=folder))
    (folder / "Release").write_text(run(["apt-ftparchive", "release", "."], cwd=folder))
