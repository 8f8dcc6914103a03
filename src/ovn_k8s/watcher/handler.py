# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""What the writer asks of the code for one kind of object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ovn_k8s.core.database import Database
from ovn_k8s.core.rows import Row

from .workqueue import Key


@dataclass(frozen=True)
class Wish:
    """What an object wants in OVN now. `waits_for` says what it lacks; whoever brings that has the key looked at again.

    `retry`: nobody will tell when it is there, so the key comes back by itself. `refused`: what was asked for and is
    not granted, for the object's owner to know.
    """

    rows: tuple[Row, ...] = ()
    waits_for: str = ""
    retry: bool = False
    refused: str = ""
    hands_off: bool = False
    unchanged: tuple[tuple[str, str, str], ...] = ()


NOTHING = Wish()


class Handler(Protocol):
    """Maps keys of one kind to rows. All methods run on the writer's thread, with the replica locked.

    Who derives from it need not write down what it has nothing to do for.
    """

    kind: str

    def prepare(self, database: Database) -> None:
        """Rebuild what is kept in memory from the complete database."""
        return  # mypy takes an empty body for an abstract method

    def everything(self) -> Iterable[Key]:
        """Every object of this kind that the API has."""
        return ()

    def nodes_changed(self, database: Database) -> list[Key]:
        """A logical switch has changed: what has to be looked at again for that."""
        return []

    def wish(self, key: Key, database: Database) -> Wish:
        """What the object wants, from the caches as they are; nothing when it is gone."""

    def settled(self, key: Key) -> None:
        """The database is known to hold what the last `wish` for this key said."""
        return  # mypy takes an empty body for an abstract method
