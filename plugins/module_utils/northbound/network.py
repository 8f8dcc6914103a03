# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A whole network as one document: lists of objects, one for each kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.database import Database
from ..database_module import Wish
from .build import Selection, Wanted, call_all, selection, want
from .catalogue import KINDS
from .kind import Item, Kind
from .reading import objects

Network = Mapping[str, Sequence[Item] | None]

EVERYTHING = selection(dict.fromkeys(KINDS))

STATES = ("merged", "replaced", "overridden", "deleted")


def sweeps(network: Network | None, state: str) -> bool:
    """Whether objects of the owner go that the document does not have."""
    return state == "overridden" or (state == "deleted" and network is None)


def selection_for(network: Network | None, state: str) -> Selection:
    """What to read."""
    if sweeps(network, state):
        return EVERYTHING
    return selection({kind: items for kind in KINDS if (items := (network or {}).get(kind.section))})


def wish(network: Network | None, state: str, owner: str, actual: Database) -> Wish:
    """What a document and a state mean for the rows that are there."""
    sweep, wanted = sweeps(network, state), Wanted(owner)
    if sweep:
        call_all(KINDS, actual)
    for kind in KINDS:
        items = (network or {}).get(kind.section) or ()
        present, absent = ((), items) if state == "deleted" else (items, ())
        want(kind, present, absent, actual, wanted, exact=state in ("replaced", "overridden"))
    return Wish(wanted.rows, wanted.absent, owner, wanted.unchanged, [owner] if sweep else [])


def document(actual: Database, owner: str | None, kinds: Iterable[Kind] = KINDS) -> dict[str, list[dict[str, Any]]]:
    """The document that describes the objects of an owner, or of everybody. Kinds without objects are left out."""
    call_all(kinds, actual)
    found = {kind.section: objects(kind, actual, owner) for kind in kinds}
    return {section: items for section, items in found.items() if items}
