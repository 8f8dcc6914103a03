# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A Windows machine made of Wine, the real bundle on it, and the emulated Host Network Service behind its libraries."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from windows_machine import ROOT, Emulator, Model, PartError, Parts, State, Windows, bundle_files, unpacked, wine

from lab.cache import Cache
from lab.settings import Settings
from lab.windows import power


@pytest.fixture(scope="session")
def bundle() -> dict[str, bytes]:
    parts = Parts(Path.home() / ".cache" / "ovn-k8s" / "windows-parts")
    try:
        return bundle_files(ROOT, parts, wine.PROGRAM_DIR)
    except PartError as error:
        pytest.skip(f"the parts of the Windows bundle are out of reach: {error}")


@pytest.fixture(scope="session")
def base() -> Path:
    """What machines start from, as the lab keeps it: making one takes longer than most tests."""
    if reason := wine.missing():
        pytest.skip(f"a Windows machine made of Wine {reason}")
    return power.base(Cache(Settings.from_environment().cache))


@pytest.fixture(scope="session")
def machine(base: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Windows]:
    bundle = request.getfixturevalue("bundle")
    folder = tmp_path_factory.mktemp("windows")
    unpacked(base, folder)
    made = wine.WineMachine(folder)
    with Emulator(Model()) as emulator:
        threading.Thread(target=emulator.serve_forever, daemon=True).start()
        try:
            made.start()
            made.install_emulation(emulator.place)
            made.install_bundle(bundle)
            yield Windows(made, emulator)
        finally:
            made.stop()
            emulator.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def windows(machine: Windows) -> Windows:
    """The machine with an HNS that has nothing and forgets everything that went wrong."""
    machine.emulator.model = Model(state=State())
    return machine
