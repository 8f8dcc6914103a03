# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The one thread that writes: it takes keys, asks what their objects want, plans, and commits many at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ovn_k8s.core.changes import Change, Delete, Insert, Update
from ovn_k8s.core.database import Database, row_owner
from ovn_k8s.core.errors import PlanError
from ovn_k8s.core.plan import Plan, plan
from ovn_k8s.core.rows import Row
from ovn_k8s.daemon.log import fields
from ovn_k8s.daemon.metrics import Counter, Histogram
from ovn_k8s.ovsdb.errors import OvsdbError, Stale, TransactionFailed
from ovn_k8s.ovsdb.monitor import RowChange
from ovn_k8s.ovsdb.replica import Replica

from .events import ADDRESS_REFUSED, NO_PORT, EventRecorder
from .fence import READ, Fence
from .handler import Handler, Wish
from .leadership import Leadership
from .news import NOTES, PORT, SWITCH, News
from .pods import PodHandler
from .policies import KINDS, Policies
from .workqueue import Key, WorkQueue

LOG = logging.getLogger(__name__)

MOST_KEYS = 256
"""Keys of one transaction: large enough to lose nothing on overhead, small enough that a new pod does not wait long."""

STALE_ATTEMPTS = 3
BEAT_S = 1.0

STANDBY_S = 0.1

RESYNC = Key("resync", "", "")
RESYNCED = Key("resynced", "", "")


class NotLeading(Exception):
    """Another watcher leads, or may: nothing was written."""


@dataclass
class Figures:
    """What the writer counts."""

    latency: Histogram = field(
        default_factory=lambda: Histogram(
            "ovn_k8s_watcher_event_to_commit_seconds",
            "From the arrival of an event to the commit of what it changed, for each object changed.",
        )
    )
    transactions: Counter = field(
        default_factory=lambda: Counter(
            "ovn_k8s_watcher_transactions_total", "Transactions sent to the northbound database.", "result"
        )
    )
    changes: Counter = field(
        default_factory=lambda: Counter("ovn_k8s_watcher_changes_total", "Objects whose rows changed.", "kind")
    )


class Writer:
    """Owns the northbound database's write side.

    It works while it leads, and begins each time as leader with a look at everything. The owner starts it when the
    caches and the replica are complete.
    """

    def __init__(
        self,
        replica: Replica,
        queue: WorkQueue,
        leadership: Leadership,
        events: EventRecorder,
        pods: PodHandler,
        others: Iterable[Handler] = (),
        policies: Policies | None = None,
    ) -> None:
        self._replica = replica
        self._queue = queue
        self._leadership = leadership
        self._events = events
        self._term = 0
        self._fence = Fence(leadership.identity.name)
        self._pods = pods
        self._policies = policies
        handlers: tuple[Handler, ...] = (pods, *others, *(policies.handlers() if policies else ()))
        self._handlers: dict[str, Handler] = {handler.kind: handler for handler in handlers}
        self._complete = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.waiting: dict[Key, str] = {}
        self._news = News(queue, self._handlers, self.waiting)
        self.resynced = threading.Event()
        self.beat = time.monotonic()
        self.figures = Figures()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 15.0) -> None:
        """Finish the transaction under way, then end the thread."""
        self._stop.set()
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def resync(self) -> None:
        """Look at everything again. For `Replica.on_sync`, and for the start."""
        self._queue.add(RESYNC)

    def database_changed(self, changes: Sequence[RowChange]) -> None:
        """For `Replica.on_change`: rows that somebody else has changed are looked at again. Must be quick."""
        self._news.tell(changes, self._replica.database)

    def pending(self) -> list[Key]:
        """Every key that a resync looks at: what the API has, policies first, and what the database has of ours."""
        handlers = sorted(self._handlers.values(), key=lambda handler: handler.kind not in KINDS)
        # In order: what belongs to one namespace shares its policies, and a batch should have to do with few of them.
        keys = {key: None for handler in handlers for key in sorted(handler.everything())}
        owners = self._replica.database.owners()
        keys.update((key, None) for owner in owners if (key := self._news.key_of(owner)) is not None)
        return list(keys)

    def propose(self) -> Plan:
        """What would be written for everything, without writing. Raises PlanError."""
        with self._replica.lock:
            for handler in self._handlers.values():
                handler.prepare(self._replica.database)
            wishes = self._wishes(self.pending())
            for key, wish in wishes.items():
                if wish.waits_for:
                    LOG.warning("waiting: %s", wish.waits_for, extra=fields(object=key))
            return self._plan(wishes)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.beat = time.monotonic()
            if not self._replica.wait_synced(BEAT_S) or not self._leads():
                continue
            batch = self._queue.take(MOST_KEYS, BEAT_S)
            if not batch:
                continue
            try:
                self._work(batch)
            except NotLeading:
                self._queue.put_back(batch)  # should it turn out to be the same time as leader still
            except OvsdbError as error:
                LOG.warning("transaction of %d objects: %s; they are tried again", len(batch), error)
                self.figures.transactions.add(value="lost")
                self._queue.put_back(batch)
                self._stop.wait(0.1)
            except Exception:
                LOG.exception("unexpected failure; the %d objects of this batch are tried again", len(batch))
                for key in batch:
                    self._queue.retry(key)

    def _leads(self) -> bool:
        """Whether to work. What happens while another one leads is left aside: a new time as leader looks at all."""
        term = self._leadership.term
        if term and term == self._term:
            return True
        if self._term:
            LOG.warning("nothing is written any more, another watcher may lead")
        self._term = 0
        self._complete = False
        self.resynced.clear()
        self.waiting.clear()
        self._queue.clear()
        if not term:
            self._stop.wait(STANDBY_S)
            return False
        with self._replica.lock:
            self._pods.reset()
        self._term = term
        self.resync()
        return True

    def _send(self, planned: Plan) -> None:
        """One transaction, if this watcher leads. Raises NotLeading and what `Replica.transact` does."""
        if not self._leadership.leads(self._term):
            raise NotLeading
        try:
            self._fence.committed(self._replica.transact([*self._fence.operations(), *planned.operations()]))
        except Stale as error:
            if self._fence.stopped(error):
                LOG.warning("the database refuses a transaction: another watcher has written since")
                self._leadership.resign()
                raise NotLeading from None
            raise

    def _work(self, batch: dict[Key, float]) -> None:
        if RESYNC in batch:
            self._resync()
            del batch[RESYNC]  # only now: when it fails it has to come again, as without it nothing is done
        if not self._complete:
            return
        for key in [key for key in batch if key.kind in NOTES]:
            del batch[key]
            self._note(key)
        objects = {key: arrived for key, arrived in batch.items() if key != RESYNCED}
        if objects:
            self._converge(objects)
        if RESYNCED in batch:
            LOG.info("every object has been looked at, %d wait", len(self.waiting))
            self.resynced.set()

    def _resync(self) -> None:
        # The server tells of everything that is committed before it answers: what the last leader did is here then.
        self._fence.found(self._replica.transact([READ])[0]["rows"])
        with self._replica.lock:
            for handler in self._handlers.values():
                handler.prepare(self._replica.database)
            keys = self.pending()
        self._complete = True
        self._queue.forget(RESYNC)
        LOG.info("looking at all %d objects", len(keys))
        self._queue.add_all([*keys, RESYNCED])

    def _note(self, key: Key) -> None:
        """A switch, a port of somebody else, or the routers that services depend on have changed.

        One handler that cannot make anything of it does not keep the news from the others.
        """
        failure: Exception | None = None
        listeners: list[Callable[[Database], list[Key]]] = [partial(self._pods_told, key)]
        listeners += [handler.nodes_changed for handler in self._handlers.values()]
        with self._replica.lock:
            for listener in listeners:
                try:
                    self._queue.add_all(listener(self._replica.database), urgent=True)
                except Exception as error:
                    failure = error
        if failure is not None:
            self._fail(key, failure)
            return
        self.waiting.pop(key, None)
        self._queue.forget(key)

    def _pods_told(self, key: Key, database: Database) -> list[Key]:
        if key.kind == SWITCH and self._pods.switch_changed(key.name, database):
            return self._pods.keys_on(key.name)
        if key.kind == PORT:
            self._pods.port_changed(key.name, database)
        return []

    def _converge(self, batch: Mapping[Key, float]) -> None:
        """Commit a batch; when it is refused, each of its keys alone, so that one does not hold up the others.

        Keys that have failed before are not put together with others again until they succeed.
        """
        together = {key: arrived for key, arrived in batch.items() if not self._queue.failures(key)}
        alone = {key: arrived for key, arrived in batch.items() if key not in together}
        if together:
            try:
                self._commit(together)
            except (PlanError, TransactionFailed) as error:
                if len(together) > 1:
                    LOG.warning("batch of %d objects: %s; committing them one by one", len(together), error)
                alone.update(together)
        for key, arrived in alone.items():
            try:
                self._commit({key: arrived})
            except (PlanError, TransactionFailed) as error:
                self._fail(key, error)

    def _commit(self, batch: Mapping[Key, float]) -> None:
        for attempt in range(1, STALE_ATTEMPTS + 1):
            with self._replica.lock:
                wishes = self._wishes(batch)
                planned = self._plan(wishes)
                if planned:
                    self._news.expect(wishes)
            try:
                if planned:
                    self._send(planned)
                break
            except Stale as error:
                self.figures.transactions.add(value="stale")
                LOG.info("planning anew, the database has changed meanwhile: %s", error)
                if attempt == STALE_ATTEMPTS:
                    raise
            except TransactionFailed:
                self.figures.transactions.add(value="refused")
                raise
            finally:
                with self._replica.lock:
                    heard = self._news.heard()
        now = time.monotonic()
        earliest = min(batch.values())
        summary = self._summary(planned, wishes)
        if planned:
            self.figures.transactions.add(value="committed")
            for key, words in summary.items():
                took = now - batch.get(key, earliest)
                self.figures.changes.add(value=key.kind)
                self.figures.latency.observe(took)
                LOG.info("%s", ", ".join(words), extra=fields(object=key, ms=f"{took * 1000:.1f}"))
        for key, wish in wishes.items():
            self._settle(key, wish)
            if heard.get(str(key), 0) > (key in summary):
                self._queue.add(key)  # somebody else has changed it meanwhile

    def _wishes(self, batch: Collection[Key]) -> dict[Key, Wish]:
        """What the keys of a batch want: pods first, then all else with the policies that those pods bring along."""
        wishes: dict[Key, Wish] = {}
        self._pods.seen.clear()
        self._wish([key for key in batch if key.kind == self._pods.kind], wishes)
        others = [key for key in batch if key.kind != self._pods.kind]
        brought: set[Key] = set()
        if self._policies:
            brought = self._policies.together(batch, wishes, self._pods.seen, self._replica.database)
        self._wish([*others, *sorted(brought - set(others))], wishes)
        missing = sorted(str(key) for key in brought - wishes.keys())
        if missing:  # a pod must not get its port without the policies that isolate it
            raise PlanError(f"{', '.join(missing)} failed and must be written together with this")
        return wishes

    def _wish(self, keys: Iterable[Key], wishes: dict[Key, Wish]) -> None:
        for key in keys:
            try:
                wishes[key] = self._handlers[key.kind].wish(key, self._replica.database)
            except Exception as error:
                self._fail(key, error)

    def _plan(self, wishes: Mapping[Key, Wish]) -> Plan:
        rows: list[Row] = [row for wish in wishes.values() for row in wish.rows]
        owners = [str(key) for key, wish in wishes.items() if not wish.hands_off]
        unchanged = {ground for wish in wishes.values() for ground in wish.unchanged}
        return plan(rows, self._replica.database, owners=owners, unchanged=sorted(unchanged))

    def _settle(self, key: Key, wish: Wish) -> None:
        self._handlers[key.kind].settled(key)
        if self._policies is not None:
            self._policies.settled(key)
        if wish.waits_for:
            if self.waiting.get(key) != wish.waits_for:
                LOG.warning("waiting: %s", wish.waits_for, extra=fields(object=key))
            self.waiting[key] = wish.waits_for
        else:
            self.waiting.pop(key, None)
        if wish.refused:
            self._events.tell(key, ADDRESS_REFUSED, wish.refused)
        elif wish.waits_for:
            self._tell(key, NO_PORT, wish.waits_for)
        else:
            self._events.well(key)
        if wish.retry:
            self._queue.retry(key)
        else:
            self._queue.forget(key)

    def _tell(self, key: Key, reason: str, message: str) -> None:
        if key.kind == self._pods.kind:
            self._events.tell(key, reason, message)

    def _fail(self, key: Key, error: Exception) -> None:
        first = self._queue.failures(key) == 0
        expected = isinstance(error, (PlanError, OvsdbError))
        delay = self._queue.retry(key)
        self.waiting[key] = str(error)
        self._tell(key, NO_PORT, str(error) if expected else f"internal error: {error!r}")
        LOG.log(
            logging.ERROR if first else logging.WARNING,
            "%s; trying again in %.1f s",
            error if expected else repr(error),
            delay,
            extra=fields(object=key),
            exc_info=None if expected else error,
        )

    def _summary(self, planned: Plan, wishes: Mapping[Key, Wish]) -> dict[Key, list[str]]:
        """What a plan does to which object, in words."""
        owners = {(row.table, row.name): key for key, wish in wishes.items() for row in wish.rows}
        words: dict[Key, list[str]] = {}
        for change in planned.changes:
            key = self._changed(change, owners)
            if key is not None and key in wishes:
                words.setdefault(key, []).append(_words(change))
        return words

    def _changed(self, change: Change, owners: Mapping[tuple[str, str], Key]) -> Key | None:
        if isinstance(change, Delete):
            return self._news.key_of(row_owner(change.columns))
        return owners.get((change.table.name, change.name))


def _words(change: Change) -> str:
    name = f"{change.table.name} {change.name}"
    if isinstance(change, Insert):
        addresses = change.columns.get("addresses") or ()
        return f"added {name}" + "".join(f" [{address}]" for address in addresses)
    if isinstance(change, Update):
        return f"changed {name} ({', '.join(sorted(change.columns))})"
    if isinstance(change, Delete):
        return f"removed {name}"
    return f"changed members of {name}"
