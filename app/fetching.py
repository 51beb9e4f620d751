"""Calls to other machines: pictures by address and webhooks, to allow-listed hosts and checked addresses only."""

import http.client
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from app.refusals import AddressNotAllowed
from app.settings import Settings

_REDIRECTS: Final = 3
_SECONDS: Final = 10.0
_CHUNK: Final = 65536
_ODD: Final = re.compile(r"[\s\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Reply:
    """What another machine answered."""

    status: int
    data: bytes
    location: str | None


def fetch(settings: Settings, address: str, *, param: str) -> bytes:
    """Return what lies at an address, following redirects to hosts that are allowed as well.

    Raises
    ------
    AddressNotAllowed
        Fetching is off, the host is not listed, or it has a private address; or it did not answer with a file of
        a size that is accepted.
    """
    for _ in range(_REDIRECTS + 1):
        reply = call(settings, settings.fetch_hosts, "GET", address, limit=settings.max_body, param=param)
        if reply.status == 200:
            return reply.data
        if reply.status not in (301, 302, 303, 307, 308) or not reply.location:
            raise AddressNotAllowed(f"the address answered with status {reply.status}", param=param)
        address = urljoin(address, reply.location)
    raise AddressNotAllowed(f"the address redirects more than {_REDIRECTS} times", param=param)


def require_webhook_address(settings: Settings, address: str) -> None:
    """Raise `AddressNotAllowed` where webhooks may not be sent there."""
    _checked(settings.webhook_hosts, address, "webhook")


def call(
    settings: Settings,
    hosts: tuple[str, ...],
    method: str,
    address: str,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    limit: int = _CHUNK,
    param: str = "webhook",
) -> Reply:
    """Make one request, without following redirects, proxies or cookies.

    The name is resolved once, and the connection is made to the address that was checked: a name that resolves
    to something else a moment later gains nothing.
    """
    parts = _checked(hosts, address, param)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    peer = _resolve(settings, parts.hostname or "", port, param)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = http.client.HTTPConnection(parts.hostname or "", port, timeout=_SECONDS)
        plain = socket.create_connection(peer, timeout=_SECONDS)
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
        else:
            connection.sock = plain
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            data = response.read(limit + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise AddressNotAllowed(f"the address does not answer: {error}", param=param) from error
    if len(data) > limit:
        raise AddressNotAllowed(f"the answer is longer than {limit} bytes", param=param)
    return Reply(response.status, data, response.headers.get("location"))


def _checked(hosts: tuple[str, ...], address: str, param: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise AddressNotAllowed(f"{param} is no valid address", param=param) from error
    # `urlsplit` drops line breaks, so that what was checked is not what was written.
    if _ODD.search(address) or not (parts.path + parts.query).isascii():
        raise AddressNotAllowed(f"{param} must have its path percent-encoded", param=param)
    host = (parts.hostname or "").lower()
    if parts.scheme not in ("http", "https") or parts.username or parts.password:
        raise AddressNotAllowed(f"{param} must be a plain http or https address", param=param)
    if not hosts:
        raise AddressNotAllowed(f"this server calls no addresses for {param}; send the content", param=param)
    if host not in hosts and (f"{host}:{port}" not in hosts):
        raise AddressNotAllowed(f"the host {host!r} is not one this server calls for {param}", param=param)
    return parts


def _resolve(settings: Settings, host: str, port: int, param: str) -> tuple[str, int]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AddressNotAllowed(f"the host {host!r} is not known", param=param) from error
    for _family, _kind, _protocol, _name, peer in found:
        address = str(peer[0])
        if settings.allow_private_hosts or ipaddress.ip_address(address.partition("%")[0]).is_global:
            return address, port
    raise AddressNotAllowed(f"the host {host!r} has a private address", param=param)
