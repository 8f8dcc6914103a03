# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: the ovn_k8s.cluster authors
"""Envelopes of WS-Management: what a request asks for, and the words of answers and faults."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.sax.saxutils import escape

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
NAMES = {"s": SOAP, "a": ADDRESSING, "w": WSMAN, "rsp": SHELL}

LONGEST_REQUEST = 500 * 1024
"""Bytes; MaxEnvelopeSizekb of a Windows that nobody has configured."""
TIMED_OUT = 2150858793
SHELL_NOT_FOUND = 2150858843
NOT_SUPPORTED = 2150858752


class WsmanFault(Exception):
    """A request that Windows answers with a fault; the code is a WSManFault's."""

    def __init__(self, code: int, text: str, subcode: str) -> None:
        super().__init__(text)
        self.code, self.subcode = code, subcode

    def envelope(self) -> bytes:
        """The fault as it goes over the wire."""
        text = escape(str(self))
        return (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:w="{WSMAN}" xmlns:a="{ADDRESSING}"><s:Header/><s:Body><s:Fault>'
            f"<s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode></s:Code><s:Reason>"
            f'<s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f="{FAULT}" '
            f'Code="{self.code}" Machine="standin"><f:Message>{text}</f:Message></f:WSManFault></s:Detail></s:Fault>'
            "</s:Body></s:Envelope>"
        ).encode()


@dataclass(frozen=True)
class Request:
    """What one request asks for; `verb` is the last part of its action."""

    verb: str
    message: str
    shell: str
    options: dict[str, str]
    timeout: float
    """Seconds that a Receive may wait."""
    body: ElementTree.Element | None


def parse(text: bytes) -> Request:
    """Read a request. Raises WsmanFault for what is none."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise WsmanFault(NOT_SUPPORTED, f"The request is no XML: {error}", "s:Sender") from None

    def header(path: str) -> str:
        return root.findtext(f"s:Header/{path}", "", NAMES) or ""

    action = header("a:Action")
    timeout = re.match(r"PT([\d.]+)S", header("w:OperationTimeout"))
    selectors = root.iterfind("s:Header/w:SelectorSet/w:Selector", NAMES)
    options = root.iterfind("s:Header/w:OptionSet/w:Option", NAMES)
    if not action.startswith((f"{TRANSFER}/", f"{SHELL}/")):
        raise WsmanFault(NOT_SUPPORTED, f"The action {action} is not supported.", "a:ActionNotSupported")
    return Request(
        action.rsplit("/", 1)[1],
        header("a:MessageID"),
        next((item.text or "" for item in selectors if item.get("Name") == "ShellId"), ""),
        {item.get("Name", ""): item.text or "" for item in options},
        float(timeout.group(1)) if timeout else 60.0,
        root.find("s:Body", NAMES),
    )


def envelope(action: str, request: Request, body: str) -> bytes:
    """The answer to a request."""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" xmlns:rsp="{SHELL}" xml:lang="en-US">'
        f"<s:Header><a:Action>{action}</a:Action><a:MessageID>uuid:{uuid.uuid4()}</a:MessageID>"
        f"<a:To>{ADDRESSING}/role/anonymous</a:To><a:RelatesTo>{escape(request.message)}</a:RelatesTo></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def created(request: Request, shell: str) -> bytes:
    """A shell was made."""
    body = (
        f'<x:ResourceCreated xmlns:x="{TRANSFER}"><a:Address>http://standin/wsman</a:Address><a:ReferenceParameters>'
        f'<w:ResourceURI>{SHELL}/cmd</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector>'
        "</w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>"
        f"<rsp:Shell><rsp:ShellId>{shell}</rsp:ShellId></rsp:Shell>"
    )
    return envelope(f"{TRANSFER}/CreateResponse", request, body)


def deleted(request: Request) -> bytes:
    """A shell is gone."""
    return envelope(f"{TRANSFER}/DeleteResponse", request, "")


def started(request: Request, command: str) -> bytes:
    """A command runs."""
    body = f"<rsp:CommandResponse><rsp:CommandId>{command}</rsp:CommandId></rsp:CommandResponse>"
    return envelope(f"{SHELL}/CommandResponse", request, body)


def acknowledged(request: Request) -> bytes:
    """A Send or a Signal was taken."""
    return envelope(f"{SHELL}/{request.verb}Response", request, f"<rsp:{request.verb}Response/>")


def received(request: Request, command: str, output: Iterable[tuple[str, bytes]], status: int | None) -> bytes:
    """What a command has said since; `status` is its exit code once it has ended."""
    streams = "".join(
        f'<rsp:Stream Name="{name}" CommandId="{command}">{base64.b64encode(data).decode()}</rsp:Stream>'
        for name, data in output
    )
    if status is None:
        state = f'<rsp:CommandState CommandId="{command}" State="{SHELL}/CommandState/Running"/>'
    else:
        ends = (f'<rsp:Stream Name="{name}" CommandId="{command}" End="true"/>' for name in ("stdout", "stderr"))
        streams += "".join(ends)
        state = (
            f'<rsp:CommandState CommandId="{command}" State="{SHELL}/CommandState/Done">'
            f"<rsp:ExitCode>{status}</rsp:ExitCode></rsp:CommandState>"
        )
    body = f"<rsp:ReceiveResponse>{streams}{state}</rsp:ReceiveResponse>"
    return envelope(f"{SHELL}/ReceiveResponse", request, body)
