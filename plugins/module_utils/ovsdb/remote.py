# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Where a database server is, and how we prove who we are (ovsdb(7), "Connection Methods")."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from .errors import ConnectionFailed, TlsFailed


@dataclass(frozen=True)
class Tls:
    """PEM files of our side and of the authority that the server's certificate must come from.

    Server certificates of OVSDB are not bound to host names; that the peer may act as a server is checked by the
    certificate's extended key usage, so a node's client certificate cannot play the database.
    """

    private_key: str
    certificate: str
    ca_certificate: str

    def context(self) -> ssl.SSLContext:
        """An SSL context that checks the peer.

        Raises:
            TlsFailed: a file is missing, unreadable or not what it should be.
        """
        for path in (self.private_key, self.certificate, self.ca_certificate):
            try:
                with Path(path).open("rb"):
                    pass
            except OSError as error:
                raise TlsFailed(f"cannot read {path}: {error.strerror}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(self.ca_certificate)
            context.load_cert_chain(self.certificate, self.private_key)
        except (ssl.SSLError, ValueError) as error:
            raise TlsFailed(f"{self.certificate}, its key or {self.ca_certificate} is no usable PEM: {error}") from None
        return context


@dataclass(frozen=True)
class Remote:
    """One server: `scheme` is unix, tcp or ssl; `address` is a path or a host."""

    scheme: str
    address: str
    port: int = 0

    def __str__(self) -> str:
        if self.scheme == "unix":
            return f"unix:{self.address}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}:{host}:{self.port}"

    def connect(self, timeout: float, tls: Tls | None) -> socket.socket:
        """Open a stream to the server within `timeout` seconds.

        Raises:
            ConnectionFailed: with the cause and, where there is one, what to look at.
        """
        try:
            if self.scheme == "unix":
                stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                stream.settimeout(timeout)
                try:
                    stream.connect(self.address)
                except OSError:
                    stream.close()
                    raise
                return stream
            stream = socket.create_connection((self.address, self.port), timeout)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except FileNotFoundError:
            raise ConnectionFailed(f"{self}: there is no such socket; is ovsdb-server running?") from None
        except PermissionError:
            raise ConnectionFailed(f"{self}: permission denied; run as root or give access to the socket") from None
        except ConnectionRefusedError:
            raise ConnectionFailed(f"{self}: Connection refused; does ovsdb-server run and listen there?") from None
        except OSError as error:
            raise ConnectionFailed(f"{self}: {error.strerror or error}; can that address be reached?") from None
        return stream if self.scheme == "tcp" else self._wrap(stream, tls)

    def _wrap(self, stream: socket.socket, tls: Tls | None) -> socket.socket:
        try:
            if tls is None:
                raise TlsFailed(f"{self}: needs a private key, a certificate and a CA certificate")
            return tls.context().wrap_socket(stream, server_hostname=self.address)
        except ssl.SSLCertVerificationError as error:
            stream.close()
            raise TlsFailed(
                f"{self}: the server's certificate is not trusted ({error.verify_message}); "
                f"is {tls.ca_certificate if tls else 'the CA'} the authority that signed it?"
            ) from None
        except (ssl.SSLError, OSError) as error:
            stream.close()
            raise TlsFailed(f"{self}: TLS failed ({error}); does this port speak TLS?") from None
        except TlsFailed:
            stream.close()
            raise


def parse_remote(text: str) -> Remote:
    """Read `unix:/path`, `tcp:host:port` or `ssl:host:port`; an IPv6 host stands in brackets.

    Raises:
        ValueError: the text is none of these.
    """
    scheme, _colon, rest = text.partition(":")
    if scheme == "unix" and rest:
        return Remote(scheme, rest)
    if scheme in ("tcp", "ssl"):
        host, _colon, port = rest.rpartition(":")
        host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if host and port.isdigit() and 0 < int(port) < 65536:
            return Remote(scheme, host, int(port))
    raise ValueError(f"{text!r} is no database remote; write unix:/path, tcp:host:port or ssl:host:port")


def parse_remotes(text: str) -> tuple[Remote, ...]:
    """Read one remote or several separated by commas: the members of one clustered database."""
    return tuple(parse_remote(part.strip()) for part in text.split(","))
