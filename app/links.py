"""Links to results that work without a key, for an hour: signed, so that nobody can make their own."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from app.refusals import InternalFault, NotFound
from app.settings import Settings

_SECONDS: Final = 3600
_TAG: Final = 20


def read_secret(settings: Settings) -> bytes:
    """Return the deployment's secret; without one in the settings, the data folder's, made when first needed."""
    if given := settings.secret.get_secret_value():
        return given.encode()
    path = settings.data / "secret"
    if not path.exists():
        _make_secret(path)
    if found := path.read_bytes():
        return found
    raise InternalFault(f"{path} is empty, and anybody could sign with it; remove it, and a new one is made")


def _make_secret(path: Path) -> None:
    """Put a secret at a path, complete at once; where another process does so too, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)


def sign(secret: bytes, edit_id: str, number: int) -> str:
    """Return a token that stands for one picture of an edit, for an hour."""
    said = f"{edit_id}.{number}.{int(time.time()) + _SECONDS}".encode()
    tag = hmac.new(secret, b"link:" + said, hashlib.sha256).digest()[:_TAG]
    return base64.urlsafe_b64encode(tag + said).decode().rstrip("=")


def read_token(secret: bytes, token: str) -> tuple[str, int]:
    """Return the edit's id and the picture's number, or raise `NotFound`."""
    gone = NotFound("this link is not valid, or no longer")
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise gone from error
    tag, said = raw[:_TAG], raw[_TAG:]
    if not hmac.compare_digest(tag, hmac.new(secret, b"link:" + said, hashlib.sha256).digest()[:_TAG]):
        raise gone
    edit_id, number, until = said.decode().split(".")
    if int(until) < time.time():
        raise gone
    return edit_id, int(number)


def webhook_secret(secret: bytes, tenant: str) -> str:
    """Return the key a tenant's webhooks are signed with, as Standard Webhooks writes keys."""
    key = hmac.new(secret, b"webhook:" + tenant.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(key).decode()
