# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Which of several watchers writes: the holder of a Lease, and only while he is sure of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ovn_k8s.kubernetes.api import Api
from ovn_k8s.kubernetes.errors import KubernetesError
from ovn_k8s.kubernetes.lease import LeaseName, SharedLease, now

from .identity import Identity, host_of

LOG = logging.getLogger(__name__)

LEASE = LeaseName("kube-system", "ovn-k8s-watcher")
DURATION_S = 10
"""After so long without news of the holder another one takes the Lease."""

SURE_S = 7.0
"""For so long after a renewal (counted from before it was sent) the holder writes: 3 s less than others wait."""

RENEW_S = 2.0
LOOK_S = 1.0
REQUEST_S = 3.0
UNFIT_S = 5.0
"""A holder that could not do the work for so long, as it has lost the database, lets go of the Lease."""


class Leadership:
    """A thread that holds the Lease, or waits for it. Any thread may ask `sure`.

    `fit` tells whether this process could do the work now; an unfit one does not stand for election.
    """

    def __init__(self, api: Api, fit: Callable[[], bool], name: LeaseName = LEASE) -> None:
        self.identity = Identity()
        self._lease = SharedLease(api, name, self.identity.name, DURATION_S)
        self._fit = fit
        self._fit_at = now()
        self._until = 0.0
        self._held = False
        self._terms = 0
        self._trouble = "the Lease has not been looked at yet"
        self._told = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)

    @property
    def term(self) -> int:
        """The number of the present time as leader; 0 when another one may lead.

        While it is not 0 nobody else has the Lease, nor can he have it within the next three seconds. The number is
        another one after each time that this was not certain.
        """
        return self._terms if now() < self._until else 0

    def leads(self, term: int) -> bool:
        """Whether the time as leader of this number goes on."""
        return bool(term) and self.term == term

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def leader(self) -> str:
        """The host of the present leader, as far as known."""
        return host_of(self._lease.holder)

    @property
    def trouble(self) -> str:
        """Why it is not known who leads; empty when it is."""
        return self._trouble

    def start(self) -> None:
        """Stand for election."""
        self._thread.start()

    def stop(self, *, release: bool) -> None:
        """End; `release` lets the next one have the Lease at once: for who has stopped to write for certain."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * REQUEST_S + 1)
        self._until = 0.0
        if release and not self._thread.is_alive():
            self._release()
        self.identity.close()

    def resign(self) -> None:
        """Stop being sure at once, as something shows that another one leads. Asks for the Lease anew."""
        self._until = 0.0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self._round()
            except KubernetesError as error:
                pause = LOOK_S
                self._trouble = f"the Lease cannot be read or renewed: {error}"
                self._say(str(error))
            except Exception:
                pause = LOOK_S
                LOG.exception("unexpected failure")
            if self._held and not self.term:
                self._lost()
            self._stop.wait(pause)

    def _round(self) -> float:
        """Renew, take, look or let go; returns after how many seconds to come again."""
        fit = self._fit()
        if fit:
            self._fit_at = now()
        if self._held:
            if now() - self._fit_at <= UNFIT_S:
                return RENEW_S if self._take() else 0.0
            LOG.warning("cannot do the work for %.0f s; letting another one lead", UNFIT_S)
            self._until = 0.0
            self._release()
        if not fit:
            return 0.05
        self._lease.read(REQUEST_S)
        before = self._lease.holder
        dead = self.identity.is_dead(before)
        remaining = self._lease.remaining_s
        if before != self.identity.name and remaining > 0 and not dead:
            self._clear()
            return float(min(LOOK_S, remaining))
        if not self._take():
            return 0.0
        foreign = before not in ("", self.identity.name)
        LOG.info("leading%s", f" after {host_of(before)} {'ended' if dead else 'was silent'}" if foreign else "")
        return RENEW_S

    def _take(self) -> bool:
        sent = now()
        if not self._lease.write(REQUEST_S):
            self._lease.read(REQUEST_S)
            if self._lease.holder != self.identity.name:  # else a renewal whose answer was lost; it is repeated
                self._until = 0.0
            return False
        if not self.term:
            self._terms += 1
        self._until = sent + SURE_S
        self._held = True
        self._clear()
        return True

    def _clear(self) -> None:
        self._trouble = self._told = ""

    def _lost(self) -> None:
        LOG.warning("not leading any more; %s", f"{self.leader} leads" if self.leader else "nobody is known to lead")
        self._held = False

    def _release(self) -> None:
        if not self._held:
            return
        self._held = False
        try:
            if self._lease.release(REQUEST_S):
                LOG.info("let go of the Lease")
        except KubernetesError as error:
            LOG.warning("the Lease could not be released, others wait for its end: %s", error)

    def _say(self, cause: str) -> None:
        """Log a failure; one that goes on is not told again each time."""
        if cause != self._told:
            LOG.warning("Lease %s/%s: %s; trying again until it works", LEASE.namespace, LEASE.name, cause)
        self._told = cause
