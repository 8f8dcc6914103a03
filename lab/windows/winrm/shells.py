# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Remote shells and the commands in them: the seven operations that Ansible's winrm connection uses."""

from __future__ import annotations

import base64
import logging
import threading
import uuid
from collections.abc import Callable
from xml.etree import ElementTree

from . import messages
from .messages import NAMES, SHELL_NOT_FOUND, Request, WsmanFault

LOG = logging.getLogger(__name__)
STDIN_SECONDS = 300.0
BROKEN = 250
"""Exit code when the stand-in itself is wrong: it must never look like success."""


class Command:
    """One command: its line, what it is given and what it says."""

    def __init__(self, line: str, waits_for_input: bool) -> None:
        self.id = str(uuid.uuid4()).upper()
        self.line = line
        self.waits_for_input = waits_for_input
        self.stdin = bytearray()
        self.stdin_ended = threading.Event()
        self.output: list[tuple[str, bytes]] = []
        self.status: int | None = None
        self._news = threading.Condition()

    def say(self, text: str | bytes, stream: str = "stdout") -> None:
        """More output."""
        if text:
            with self._news:
                self.output.append((stream, text if isinstance(text, bytes) else text.encode()))
                self._news.notify_all()

    def finish(self, status: int) -> None:
        """It has ended."""
        with self._news:
            self.status = status
            self._news.notify_all()

    def receive(self, seconds: float) -> tuple[list[tuple[str, bytes]], int | None]:
        """Wait for output or the end. Raises WsmanFault when neither comes; clients then ask again."""
        with self._news:
            if not self._news.wait_for(lambda: self.output or self.status is not None, seconds):
                text = "The WS-Management service cannot complete the operation within the time specified in"
                raise WsmanFault(messages.TIMED_OUT, f"{text} OperationTimeout.", "w:TimedOut")
            output, self.output = self.output, []
            return output, self.status


class Shells:
    """All shells of a machine. `runner` carries a command out and returns its exit code."""

    def __init__(self, runner: Callable[[Command], int]) -> None:
        self._runner = runner
        self._shells: dict[str, dict[str, Command]] = {}
        self._waits: dict[str, bool] = {}
        self._lock = threading.Lock()

    def answer(self, request: Request) -> bytes:
        """Carry out one request. Raises WsmanFault."""
        if request.verb == "Create":
            shell = str(uuid.uuid4()).upper()
            with self._lock:
                self._shells[shell] = {}
            return messages.created(request, shell)
        with self._lock:
            commands = self._shells.get(request.shell)
        if commands is None:
            text = f"The request for the Windows Remote Shell with ShellId {request.shell} failed because the shell was"
            raise WsmanFault(SHELL_NOT_FOUND, f"{text} not found on the server.", "w:InvalidSelectors")
        if request.verb == "Delete":
            with self._lock:
                self._shells.pop(request.shell, None)
            return messages.deleted(request)
        if request.verb == "Command":
            return self._start(request, commands)
        return self._continue(request, commands)

    def _start(self, request: Request, commands: dict[str, Command]) -> bytes:
        line = request.body.find("rsp:CommandLine", NAMES) if request.body is not None else None
        if line is None:
            raise WsmanFault(messages.NOT_SUPPORTED, "A command without a command line.", "s:Sender")
        words = [
            line.findtext("rsp:Command", "", NAMES),
            *(item.text or "" for item in line.iterfind("rsp:Arguments", NAMES)),
        ]
        command = Command(" ".join(words), request.options.get("WINRS_CONSOLEMODE_STDIN") == "FALSE")
        commands[command.id] = command
        threading.Thread(target=self._run, args=(command,), daemon=True).start()
        return messages.started(request, command.id)

    def _continue(self, request: Request, commands: dict[str, Command]) -> bytes:
        stream = _subject(request)
        command = commands.get(stream.get("CommandId", "") or "")
        if command is None:
            raise WsmanFault(SHELL_NOT_FOUND, "The command was not found in the shell.", "w:InvalidSelectors")
        match request.verb:
            case "Send":
                command.stdin += base64.b64decode(stream.text or "")
                if (stream.get("End") or "").lower() == "true":
                    command.stdin_ended.set()
            case "Receive":
                output, status = command.receive(request.timeout)
                return messages.received(request, command.id, output, status)
            case "Signal":
                commands.pop(command.id, None)
            case _:
                raise WsmanFault(messages.NOT_SUPPORTED, f"{request.verb} is not supported.", "a:ActionNotSupported")
        return messages.acknowledged(request)

    def _run(self, command: Command) -> None:
        status = BROKEN
        try:
            if command.waits_for_input:
                command.stdin_ended.wait(STDIN_SECONDS)
            status = self._runner(command)
        except Exception as error:
            LOG.exception("the stand-in failed at %.200s", command.line)
            command.say(f"STAND-IN FAILED: {error!r}", "stderr")
        finally:
            command.finish(status)


def _subject(request: Request) -> ElementTree.Element:
    """The element that names the command."""
    node = request.body[0] if request.body is not None and len(request.body) else None
    if node is not None and request.verb != "Signal":
        node = node[0] if len(node) else None
    if node is None:
        raise WsmanFault(SHELL_NOT_FOUND, "The request names no command.", "w:InvalidSelectors")
    return node
