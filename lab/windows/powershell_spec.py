# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""The argument specification of a module, read out of its PowerShell text: the `$spec = @{...}` literal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<comment>\#[^\n]*)|(?P<single>'(?:[^']|'')*')|(?P<double>"(?:[^"`]|`.|"")*")
    |(?P<sign>@\{|@\(|[(){},=|]|\[(?:[\w.]+(?:\[\])?)\])|(?P<variable>\$[\w:]+)|(?P<number>-?\d[\w.]*)|(?P<word>[\w\-.]+))""",
    re.VERBOSE,
)
_BLANK = re.compile(r"[ \t\r]*")
_START = re.compile(r"^\$\w*spec\w*\s*=\s*(?=@\{)", re.MULTILINE | re.IGNORECASE)
_CONSTANTS = {"$true": True, "$false": False, "$null": None}


class Unreadable(Exception):
    """The specification is more than a literal."""


def specification(source: str) -> dict[str, Any] | None:
    """The literal, or None where there is none. Raises Unreadable."""
    start = _START.search(source)
    if start is None:
        return None
    found = _Parser(source, start.end()).atom()
    return found if isinstance(found, dict) else None


def _tokens(source: str, at: int) -> Iterator[tuple[str, str]]:
    while True:
        at = _BLANK.match(source, at).end()  # type: ignore[union-attr]
        if at < len(source) and source[at] in ";\n":
            at += 1
            yield "end", source[at - 1]
            continue
        match = _TOKEN.match(source, at)
        if match is None:
            raise Unreadable(source[at : at + 60])
        at = match.end()
        kind = match.lastgroup or ""
        if kind != "comment":
            yield kind, match.group(kind)


def _constant(kind: str, text: str) -> Any:
    match kind:
        case "single":
            return text[1:-1].replace("''", "'")
        case "double":
            return text[1:-1]
        case "variable":
            return _CONSTANTS.get(text.lower(), text)
        case "number":
            return int(text) if text.lstrip("-").isdigit() else text
        case "word":
            return text
    raise Unreadable(text)


class _Parser:
    def __init__(self, source: str, at: int) -> None:
        self._tokens = _tokens(source, at)
        self._now = next(self._tokens)

    def atom(self) -> Any:
        """One value."""
        kind, text = self._now
        if text == "@{":
            return self._table()
        if text in ("@(", "("):
            return self._list()
        if kind == "sign" and text.startswith("["):
            self._next()
            return self.atom()
        self._next()
        return _constant(kind, text)

    def _table(self) -> dict[str, Any]:
        self._next()
        self._skip()
        found: dict[str, Any] = {}
        while self._now[1] != "}":
            key = self._next()[1].strip("'\"").lower()
            self._skip()
            if self._next()[1] != "=":
                raise Unreadable(key)
            self._skip()
            found[key] = self._expression()
            self._skip()
        self._close()
        return found

    def _list(self) -> list[Any]:
        self._next()
        self._skip()
        found: list[Any] = []
        while self._now[1] != ")":
            value = self._expression()
            found.extend(value if isinstance(value, list) else [value])
            self._skip()
        self._close()
        return found

    def _expression(self) -> Any:
        """A value, or several with commas between (or one with a comma before it, which is a list of one)."""
        listed = self._now[1] == ","
        if listed:
            self._next()
            self._skip()
        values = [self.atom()]
        while self._now[1] == ",":
            self._next()
            self._skip()
            values.append(self.atom())
        return values if listed or len(values) > 1 else values[0]

    def _skip(self) -> None:
        while self._now[0] == "end":
            self._next()

    def _next(self) -> tuple[str, str]:
        now = self._now
        self._now = next(self._tokens)
        return now

    def _close(self) -> None:
        """Past the bracket; what comes after the literal need not be readable."""
        try:
            self._next()
        except (Unreadable, StopIteration):
            self._now = ("end", ";")
