# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A cache entry is made once, is found by what it is made from, and is made again when it is not whole."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from lab.cache import KEPT_SECONDS, Cache, fingerprint

CONTENT = b"program " * 1000


def fill(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/program").write_bytes(CONTENT)
    (folder / "link").symlink_to("sub/program")


class Maker:
    """Fills an entry and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        fill(folder)


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_made_once(cache: Cache, maker: Maker) -> None:
    first = cache.entry("thing", "a thing", ["v1"], maker)
    assert cache.entry("thing", "a thing", ["v1"], maker) == first
    assert maker.calls == 1
    assert (first / "link").read_bytes() == CONTENT


def test_other_inputs_are_another_entry(cache: Cache, maker: Maker) -> None:
    assert cache.entry("thing", "", ["a", "b"], maker) != cache.entry("thing", "", ["ab"], maker)


@pytest.mark.parametrize("damage", ["missing", "shorter", "changed", "other type", "no manifest", "bad manifest"])
def test_damage_is_noticed(cache: Cache, maker: Maker, damage: str) -> None:
    content = cache.entry("thing", "", ["v1"], maker)
    program = content / "sub/program"
    manifest = content.parent / "manifest.json"
    match damage:
        case "missing":
            program.unlink()
        case "shorter":
            program.write_bytes(CONTENT[:-1])
        case "changed":
            program.write_bytes(b"P" + CONTENT[1:])
        case "other type":
            (content / "link").unlink()
            (content / "link").mkdir()
        case "no manifest":
            manifest.unlink()
        case "bad manifest":
            manifest.write_text("{")
    again = cache.entry("thing", "", ["v1"], maker)
    assert again == content
    assert maker.calls == 2
    assert (again / "link").read_bytes() == CONTENT


def test_a_new_time_alone_is_no_damage(cache: Cache, maker: Maker) -> None:
    content = cache.entry("thing", "", ["v1"], maker)
    (content / "sub/program").touch()
    cache.entry("thing", "", ["v1"], maker)
    assert maker.calls == 1


def test_a_failed_making_leaves_nothing(cache: Cache, maker: Maker) -> None:
    def fail(folder: Path) -> None:
        fill(folder)
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        cache.entry("thing", "", ["v1"], fail)
    assert [p.name for p in cache.folder.iterdir() if not p.name.endswith(".lock")] == []
    cache.entry("thing", "", ["v1"], maker)
    assert maker.calls == 1


def _die(folder: Path) -> None:
    fill(folder)
    os._exit(9)


def _entry(cache: Cache, log: Path, die: bool) -> None:
    def make(folder: Path) -> None:
        with log.open("a") as stream:
            stream.write("made\n")
        time.sleep(0.3)
        fill(folder)

    cache.entry("thing", "", ["v1"], _die if die else make)


def test_a_killed_making_is_cleared_away(cache: Cache, maker: Maker, tmp_path: Path) -> None:
    victim = multiprocessing.get_context("fork").Process(target=_entry, args=(cache, tmp_path / "log", True))
    victim.start()
    victim.join()
    assert [p.name for p in cache.folder.glob(".thing-*.new-*")]
    cache.entry("thing", "", ["v1"], maker)
    assert maker.calls == 1
    assert not list(cache.folder.glob(".thing-*.new-*"))


def test_two_at_once_make_it_once(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_entry, args=(cache, log, False)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert log.read_text() == "made\n"


def test_forgotten_entries_go_when_a_new_one_comes(cache: Cache, maker: Maker) -> None:
    old = cache.entry("thing", "", ["v1"], maker).parent
    other = cache.entry("other", "", ["v1"], maker).parent
    for entry in (old, other):
        os.utime(entry, (0, time.time() - KEPT_SECONDS - 60))
    cache.entry("thing", "", ["v2"], maker)
    assert not old.exists()
    assert other.exists()


def test_fingerprint_of_folders(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a").write_text("1")
    before = fingerprint([folder])
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/a.pyc").write_text("x")
    assert fingerprint([folder]) == before
    (folder / "a").chmod(0o755)
    executable = fingerprint([folder])
    (folder / "a").rename(folder / "b")
    assert len({before, executable, fingerprint([folder])}) == 3
