# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""A connection to one bridge, through the socket <bridge>.mgmt that ovs-vswitchd makes for each (ovs-vswitchd(8))."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from ..core.openflow import Flow
from . import messages
from .messages import HEADER, Port, StoredFlow
from .wire import Stored, decode_flows, flows_request

DEFAULT_DIRECTORY = "/run/openvswitch"
_CHUNK = 1 << 16


REASONS = {
    (2, 0): "an action that the switch does not know",
    (2, 4): "an action sends to a port that cannot be",
    (2, 5): "an argument of an action cannot be",
    (2, 9): "an action sends to a group that is not there",
    (2, 10): "an action does not fit what the flow matches",
    (2, 13): "an action sets a field that cannot be set",
    (2, 14): "an action sets a field to what it cannot be",
    (2, 15): "an action sets a field that packets of the flow may not have",
    (3, 2): "the next table is not a later one",
    (4, 4): "a field that the switch does not know",
    (4, 6): "a field that the switch does not know",
    (4, 7): "a field matches what it cannot be",
    (4, 8): "a field cannot have this mask",
    (4, 9): "a field needs another beside it, as tcp_dst needs tcp",
    (4, 10): "a field is matched twice",
    (5, 1): "the table is full",
    (5, 2): "there is no such table",
}
"""What people can make of an error's type and code (OpenFlow Switch Specification 1.4.0, section 7.5.4)."""


class ChannelError(Exception):
    """The switch cannot be reached, or the connection broke. The message names the socket and the cause."""


class Refused(ChannelError):
    """The switch does not take a message: OpenFlow's error type and code are `kind` and `code`.

    `number` is the transaction id of that message, `position` its place in a bundle.
    """

    position = -1

    def __init__(self, name: str, kind: int, code: int, number: int = 0) -> None:
        super().__init__(f"{name}: refused, {REASONS.get((kind, code), f'OpenFlow error type {kind} code {code}')}")
        self.kind, self.code, self.number = kind, code, number


class Channel:
    """An open connection, not to be shared between threads. Between calls, `poll` takes what the switch sends unasked.

    Args:
        path: of the bridge's socket.
        timeout: in seconds, for each answer.

    Raises:
        ChannelError: nobody answers, or not with OpenFlow 1.4.
    """

    def __init__(self, path: str, timeout: float = 5.0) -> None:
        self.path = path
        self._timeout = timeout
        self._number = 0
        self._buffer = b""
        self._changed = False
        self._watches = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
            self._send(messages.hello(self._next()))
            kind, _number, _body = self._receive(time.monotonic() + timeout)
            if kind != messages.HELLO:
                raise ChannelError(f"{path}: does not speak OpenFlow 1.4")
            self._send(messages.set_config(self._next()))
            self._watch_flows()
        except OSError as error:
            self._socket.close()
            raise ChannelError(f"{path}: {error.strerror or error}; is ovs-vswitchd running?") from None
        except ChannelError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def fileno(self) -> int:
        """For select(): readable when `poll` has something to take."""
        return self._socket.fileno()

    @property
    def watches_flows(self) -> bool:
        """Whether the switch tells of flows that somebody else changes."""
        return self._watches

    def ports(self) -> dict[str, Port]:
        """The ports by name, the bridge's own included."""
        number = self._next()
        return {
            port.name: port for port in messages.parse_ports(self._multipart(messages.ports_request(number), number))
        }

    def flows(self, cookie: int) -> list[StoredFlow]:
        """The flows that carry a cookie."""
        number = self._next()
        return list(messages.parse_flows(self._multipart(messages.flows_request(number, cookie), number)))

    def replace(self, flows: Sequence[Flow], cookie: int) -> None:
        """Put these flows in the place of all that carry the cookie, in one atomic step.

        Raises:
            Refused: the switch cannot do what a flow says; nothing has changed.
        """
        wanted: list[tuple[int, Flow | None]] = [(messages.DELETE, None), *((messages.ADD, flow) for flow in flows)]
        self.bundle([partial(messages.flow_mod, command=command, cookie=cookie, flow=flow) for command, flow in wanted])

    def bundle(self, contents: Sequence[Callable[[int], bytes]], *, commit: bool = True) -> None:
        """Carry out messages in one atomic step, or only have the switch look at them.

        Args:
            contents: each makes a message from its transaction id.
            commit: false discards the bundle when it has been looked at.

        Raises:
            Refused: the switch cannot do what the message at `position` says; nothing has changed.
        """
        bundle = self._next()
        self._answer(messages.bundle_control(bundle, bundle, messages.BUNDLE_OPEN), bundle)
        parts = [messages.bundle_add(number := self._next(), bundle, content(number)) for content in contents]
        self._send(b"".join(parts))
        try:
            # A message that cannot be understood is left out of the bundle, the rest would be committed.
            number = self._next()
            self._answer(messages.message(messages.BARRIER, number), number)
        except Refused as refused:
            number = self._next()
            self._send(messages.bundle_control(number, bundle, messages.BUNDLE_DISCARD))
            refused.position = refused.number - bundle - 1
            raise
        number = self._next()
        end = messages.BUNDLE_COMMIT if commit else messages.BUNDLE_DISCARD
        self._answer(messages.bundle_control(number, bundle, end), number)

    def all_flows(self) -> list[Stored]:
        """The flows of every table, whoever's they are."""
        number = self._next()
        return list(decode_flows(self._multipart(flows_request(number), number)))

    def refresh(self, flows: Sequence[Flow], cookie: int) -> None:
        """Add flows that may be there already, so that their lifetime begins anew."""
        self._send(b"".join(messages.flow_mod(self._next(), messages.ADD, cookie, flow) for flow in flows))

    def poll(self) -> bool:
        """Take what has come unasked; whether ports or flows have changed since the last call.

        Raises:
            ChannelError: the connection is broken.
        """
        while select.select([self._socket], [], [], 0)[0] or self._complete():
            kind, number, body = self._receive(time.monotonic() + self._timeout)
            self._unasked(kind, number, body)
        changed, self._changed = self._changed, False
        return changed

    def _watch_flows(self) -> None:
        number = self._next()
        with contextlib.suppress(Refused):  # Open vSwitch before 2.17: the caller looks from time to time
            self._multipart(messages.monitor_request(number), number)
            self._watches = True

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(self._timeout)  # not what was left for the last answer
            self._socket.sendall(data)
        except OSError as error:
            raise ChannelError(f"{self.path}: {error.strerror or error}") from None

    def _answer(self, request: bytes, number: int) -> tuple[int, bytes]:
        """Send a request and wait for its answer. An error to any message before it counts as the answer."""
        self._send(request)
        deadline = time.monotonic() + self._timeout
        while True:
            kind, answered, body = self._receive(deadline)
            if kind == messages.ERROR:
                error, code = struct.unpack_from("!HH", body)
                raise Refused(self.path, error, code, answered)
            if answered == number:
                return kind, body
            self._unasked(kind, answered, body)

    def _multipart(self, request: bytes, number: int) -> bytes:
        kind, body = self._answer(request, number)
        result = b""
        while True:
            if kind != messages.MULTIPART_REPLY:
                raise ChannelError(f"{self.path}: unexpected answer of type {kind}")
            _sign, flags = struct.unpack_from("!HH", body)
            result += body[8:]
            if not flags & messages.MULTIPART_MORE:
                return result
            kind, body = self._answer(b"", number)

    def _unasked(self, kind: int, number: int, body: bytes) -> None:
        if kind == messages.ECHO_REQUEST:
            self._send(messages.message(messages.ECHO_REPLY, number, body))
        elif kind in (messages.PORT_STATUS, messages.MULTIPART_REPLY):  # the latter with news of flows
            self._changed = True
        elif kind == messages.ERROR:
            raise Refused(self.path, *struct.unpack_from("!HH", body))

    def _complete(self) -> bool:
        return len(self._buffer) >= HEADER.size and len(self._buffer) >= HEADER.unpack_from(self._buffer)[2]

    def _receive(self, deadline: float) -> tuple[int, int, bytes]:
        """The next message: its type, transaction id and body."""
        while not self._complete():
            try:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
                data = self._socket.recv(_CHUNK)
            except TimeoutError:
                raise ChannelError(f"{self.path}: no answer within {self._timeout:g} s") from None
            except OSError as error:
                raise ChannelError(f"{self.path}: {error.strerror or error}") from None
            if not data:
                raise ChannelError(f"{self.path}: the switch has closed the connection")
            self._buffer += data
        version, kind, length, number = HEADER.unpack_from(self._buffer)
        body, self._buffer = self._buffer[HEADER.size : length], self._buffer[length:]
        if version != messages.VERSION and kind != messages.HELLO:
            raise ChannelError(f"{self.path}: speaks version {version} of OpenFlow's protocol, not {messages.VERSION}")
        return kind, number, body
