# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""SPDY/3.1 as far as `kubectl exec` needs it: the API server opens streams, and both sides send on them.

Source: the SPDY protocol, draft 3.1. There is no flow control, which the API server's implementation has neither.
"""

from __future__ import annotations

import socket
import struct
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

_WORDS = (
    "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,accept-rang"
    "es,age,allow,authorization,cache-control,connection,content-base,content-encoding,content-language,c"
    "ontent-length,content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,"
    "host,if-match,if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,ma"
    "x-forwards,pragma,proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer"
    ",transfer-encoding,upgrade,user-agent,vary,via,warning,www-authenticate,method,get,status,200 OK,ver"
    "sion,HTTP/1.1,url,public,set-cookie,keep-alive,origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Au"
    "thoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidd"
    "en404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr Ma"
    "y Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,imag"
    "e/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicpri"
    "vatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split(",")) + _REST.encode()
"""With which headers are compressed; it belongs to the protocol."""

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Frame:
    """What the other side sent. `type` is 0 for data."""

    type: int
    flags: int
    stream: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def last(self) -> bool:
        """Nothing more comes on this stream."""
        return bool(self.flags & FIN)


class Connection:
    """One side of a connection. Any thread may send; one reads."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        self._compressor = zlib.compressobj(wbits=zlib.MAX_WBITS, zdict=DICTIONARY)
        self._decompressor = zlib.decompressobj(zdict=DICTIONARY)

    def read(self) -> Frame | None:
        """The next frame; None at the end. Raises ValueError for what is no SPDY."""
        head = self._bytes(8)
        if len(head) < 8:
            return None
        first, second = struct.unpack(">II", head)
        flags, length = second >> 24, second & 0xFFFFFF
        if length > MOST_BYTES:
            raise ValueError(f"a frame of {length} bytes")
        content = self._bytes(length)
        if not first >> 31:
            return Frame(0, flags, first, {}, content)
        if first >> 16 & 0x7FFF != VERSION:
            raise ValueError("another version of SPDY")
        kind = first & 0xFFFF
        stream = struct.unpack(">I", content[:4])[0] & 0x7FFFFFFF if len(content) >= 4 else 0
        headers: dict[str, str] = {}
        if kind == SYN_STREAM:
            headers = self._headers(content[10:])
        elif kind == SYN_REPLY:
            headers = self._headers(content[4:])
        return Frame(kind, flags, stream, headers, content)

    def open(self, stream: int, headers: Mapping[str, str]) -> None:
        """Open a stream."""
        with self._sending:
            content = struct.pack(">IIBB", stream, 0, 0, 0) + self._compressed(headers)
            self._control(SYN_STREAM, content)

    def accept(self, stream: int) -> None:
        """Accept a stream that the other side opened."""
        with self._sending:
            self._control(SYN_REPLY, struct.pack(">I", stream) + self._compressed({}))

    def answer_ping(self, frame: Frame) -> None:
        """Say that we are there."""
        with self._sending:
            self._control(PING, frame.content)

    def send(self, stream: int, content: bytes, *, last: bool = False) -> None:
        """Send on a stream."""
        with self._sending:
            flags = FIN if last else 0
            self._socket.sendall(struct.pack(">II", stream, flags << 24 | len(content)) + content)

    def _control(self, kind: int, content: bytes) -> None:
        self._socket.sendall(struct.pack(">HHI", 1 << 15 | VERSION, kind, len(content)) + content)

    def _compressed(self, headers: Mapping[str, str]) -> bytes:
        block = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                block += struct.pack(">I", len(text)) + text
        return self._compressor.compress(block) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._decompressor.decompress(block)
        (count,) = struct.unpack(">I", plain[:4])
        texts, at = [], 4
        for _ in range(2 * count):
            (length,) = struct.unpack(">I", plain[at : at + 4])
            texts.append(plain[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def _bytes(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            part = self._socket.recv(count - len(received))
            if not part:
                break
            received += part
        return bytes(received)
