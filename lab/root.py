# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The disk that every machine starts from: a small Debian, with a few settings of the lab (folder ``root/``)."""

from __future__ import annotations

import shutil
from pathlib import Path

from .cache import Cache
from .machines import CONTROL, PACKAGE_PORT
from .processes import run
from .settings import TREE, Settings

MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "getty.target",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
)
"""Units that a namespace has no use for."""

LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")
"""Files that no package of a machine installs."""


def package_list(file: str) -> list[str]:
    """Names in one of the lab's package lists."""
    lines = (TREE / file).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def sources(settings: Settings) -> list[str]:
    """Debian's own package sources, in the form of sources.list(5)."""
    release, mirror = settings.release, settings.mirror
    security = mirror.rstrip("/") + "-security"
    return [
        f"deb {mirror} {release} main",
        f"deb {mirror} {release}-updates main",
        f"deb {security} {release}-security main",
    ]


def ensure(settings: Settings, cache: Cache) -> Path:
    """Folder of the root file system."""
    inputs = [settings.release, settings.architecture, *sources(settings)]
    return cache.entry(
        f"root-{settings.release}",
        f"Debian {settings.release} for the machines",
        [*inputs, TREE / "root", TREE / "root-packages.txt", Path(__file__)],
        lambda folder: _make(settings, folder),
    )


def _make(settings: Settings, folder: Path) -> None:
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    options += ["--dpkgopt=force-unsafe-io", '--aptopt=APT::Install-Recommends "false"']
    proxy = run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"])
    if proxy:
        options.append('--aptopt=Acquire::http::Proxy "{}"'.format(proxy.split("=", 1)[1].strip().strip("'")))
    # In a mount namespace of its own: what mmdebstrap mounts is gone however it ends.
    command = ["unshare", "--mount", "--propagation=private", "mmdebstrap", "--mode=root", "--variant=minbase"]
    command += ["--format=directory", f"--architectures={settings.architecture}", *options]
    command.append("--include=" + ",".join(package_list("root-packages.txt")))
    run([*command, settings.release, str(folder), *sources(settings)])
    for excess in ("etc/hostname", "etc/resolv.conf", "etc/machine-id", "etc/apt/sources.list"):
        (folder / excess).unlink(missing_ok=True)
    for excess in ("etc/ssh/ssh_host_*", "etc/apt/sources.list.d/*", "var/cache/apt/*.bin", "var/log/*.log"):
        for path in folder.glob(excess):
            path.unlink()
    shutil.copytree(TREE / "root", folder, dirs_exist_ok=True)
    for path in [folder, *(folder / p.relative_to(TREE / "root") for p in (TREE / "root").rglob("*"))]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    (folder / "etc/apt/sources.list").write_text(f"deb [trusted=yes] http://{CONTROL}:{PACKAGE_PORT} ./\n")
    system = folder / "etc/systemd/system"
    for unit in MASKED:
        (system / unit).symlink_to("/dev/null")
    (system / "sysinit.target.wants").mkdir(exist_ok=True)
    (system / "sysinit.target.wants/lab-prep.service").symlink_to("../lab-prep.service")
    (folder / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
