# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A cache of all objects of one kind that a thread keeps in step with the API server."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from .api import Api, Document, Stream
from .errors import ApiRefused, ApiUnreachable, Expired, KubernetesError

LOG = logging.getLogger(__name__)

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 15.0
WATCH_S = (240, 480)
"""After how many seconds a watch ends, drawn anew each time so that watchers do not all come back at once."""

SILENCE_S = 75.0
"""A watch brings a bookmark every minute; one that stays silent for longer than this is taken for dead."""


class HasKey(Protocol):
    """A cached object: it has a key, and equality that covers everything that matters of it."""

    @property
    def key(self) -> Hashable:
        """What the object is found by, as (namespace, name)."""


T = TypeVar("T", bound=HasKey)
Listener = Callable[[T | None, T | None], None]
"""Called with the object before (None: it is new) and after (None: it is gone) a change."""


class Informer(Generic[T]):
    """Lists a collection, then watches it from the list's own resource version.

    An object's document is cut down by `parse` at once; a change that leaves the cut-down object equal is no change.
    When a resource version has expired the collection is listed again and only the differences are told.
    The listener is called on the informer's thread; what it raises is logged and does not end the informer.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        parse: Callable[[Mapping[str, Any]], T],
        listener: Listener[T] | None = None,
        *,
        index: Callable[[T], Hashable | None] | None = None,
        silence_s: float = SILENCE_S,
        page: int = 500,
    ) -> None:
        self.kind = path.rsplit("/", 1)[-1]
        self.lists = 0
        self.listing = False
        """While the differences that a list brings are told; False when the server itself tells of a change."""
        self.listed = 0
        """How many objects the last complete list had."""
        self._api = api
        self._path = path
        self._parse = parse
        self._listener = listener
        self._index_of = index
        self._silence_s = silence_s
        self._page = page
        self._objects: dict[Hashable, T] = {}
        self._indexed: dict[Hashable, dict[Hashable, T]] = {}
        self._lock = threading.Lock()
        self._synced = threading.Event()
        self._stop = threading.Event()
        self._stream: Stream | None = None
        self._version = ""
        self._told = ""
        self._thread = threading.Thread(target=self._run, name=f"informer-{self.kind}", daemon=True)

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""
        return self._synced.is_set()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the watch and the thread."""
        self._stop.set()
        stream = self._stream
        if stream is not None:
            stream.close()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)

    def wait_synced(self, timeout: float | None = None) -> bool:
        """Wait for the first list; False when it is not in time."""
        return self._synced.wait(timeout)

    def get(self, key: Hashable) -> T | None:
        """The object with this key."""
        return self._objects.get(key)

    def all(self) -> list[T]:
        """All objects, in no order."""
        with self._lock:
            return list(self._objects.values())

    def indexed(self, value: Hashable) -> list[T]:
        """The objects for which `index` gives this value."""
        with self._lock:
            return list(self._indexed.get(value, {}).values())

    def __len__(self) -> int:
        return len(self._objects)

    def _run(self) -> None:
        delay = FIRST_DELAY_S
        while not self._stop.is_set():
            started = time.monotonic()
            pause = 0.0
            try:
                if not self._version:
                    self._list()
                self._watch()
                self._told = ""
                if time.monotonic() - started < 1:  # a server that ends every watch at once is not to be besieged
                    pause = delay * random.uniform(0.5, 1.0)
            except Expired as error:
                LOG.info("%s: resource version %s has expired (%s); listing again", self.kind, self._version, error)
                self._version = ""
                pause = random.uniform(0, FIRST_DELAY_S)
            except KubernetesError as error:
                asked = error.retry_after if isinstance(error, ApiRefused) else None
                pause = max(delay * random.uniform(0.5, 1.0), asked or 0.0)
                self._say(error, pause)
            except Exception:
                LOG.exception("%s: unexpected failure; listing again", self.kind)
                self._version = ""
                pause = delay * random.uniform(0.5, 1.0)
            if time.monotonic() - started > LONGEST_DELAY_S:
                delay = FIRST_DELAY_S
            if pause and not self._stop.wait(pause):
                delay = min(delay * 2, LONGEST_DELAY_S)

    def _say(self, error: KubernetesError, pause: float) -> None:
        """Log a failure; one that goes on is not told again each time."""
        level = logging.DEBUG if str(error) == self._told else logging.WARNING
        self._told = str(error)
        if not self._stop.is_set():
            LOG.log(level, "%s: %s; trying again in %.1f s, and until it works", self.kind, error, pause)

    def _list(self) -> None:
        found: dict[Hashable, T] = {}
        version = ""
        for page in self._api.pages(self._path, self._page):
            for document in page.get("items") or ():
                parsed = self._parsed(document)
                if parsed is not None:
                    found[parsed.key] = parsed
            version = page["metadata"]["resourceVersion"]
        self.lists += 1
        self.listing, self.listed = True, len(found)
        for key in [key for key in self._objects if key not in found]:
            self._put(key, None)
        for key, parsed in found.items():
            self._put(key, parsed)
        self.listing = False
        self._version = version
        if not self._synced.is_set():
            self._synced.set()
            LOG.info("%s: listed, %d objects", self.kind, len(found))

    def _watch(self) -> None:
        stream = self._api.watch(self._path, self._version, random.randint(*WATCH_S), self._silence_s)
        self._stream = stream
        heard = time.monotonic()
        try:
            if self._stop.is_set():
                return
            for event in stream:
                self._handle(event)
                heard = time.monotonic()
        except ApiUnreachable:
            if time.monotonic() - heard >= self._silence_s:
                self._version = ""  # not even a bookmark: this server may be waiting for a version that never comes
            raise
        finally:
            self._stream = None
            stream.close()

    def _handle(self, event: Document) -> None:
        kind, document = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            status, reason = int(document.get("code") or 0), str(document.get("reason", ""))
            message = str(document.get("message", ""))
            if status != 410:
                self._version = ""  # what was missed is not known
            raise (Expired if status == 410 else ApiRefused)(status, reason, message)
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            parsed = self._parsed(document)
            if parsed is not None:
                self._put(parsed.key, None if kind == "DELETED" else parsed)
        elif kind != "BOOKMARK":
            LOG.warning("%s: a watch event of unknown type %r is left aside", self.kind, kind)
        version = (document.get("metadata") or {}).get("resourceVersion")
        if version:
            self._version = version

    def _parsed(self, document: Document) -> T | None:
        try:
            return self._parse(document)
        except Exception as error:
            metadata = document.get("metadata") or {}
            name = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
            LOG.error("%s: %s cannot be read (%r) and is left aside", self.kind, name, error)
            return None

    def _put(self, key: Hashable, new: T | None) -> None:
        old = self._objects.get(key)
        if old == new:
            return
        with self._lock:
            if new is None:
                del self._objects[key]
            else:
                self._objects[key] = new
            if self._index_of is not None:
                self._reindex(key, old, new)
        if self._listener is not None:
            try:
                self._listener(old, new)
            except Exception:
                LOG.exception("%s: the listener failed on %s", self.kind, key)

    def _reindex(self, key: Hashable, old: T | None, new: T | None) -> None:
        assert self._index_of is not None
        if old is not None:
            value = self._index_of(old)
            group = self._indexed.get(value)
            if group is not None:
                group.pop(key, None)
                if not group:
                    del self._indexed[value]
        if new is not None:
            value = self._index_of(new)
            if value is not None:
                self._indexed.setdefault(value, {})[key] = new
