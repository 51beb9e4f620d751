"""What the service refuses, beyond what an edit can fail of: typed, each with a stable code."""

from typing import Any

from brushedit.errors import EditError


class InvalidRequest(EditError):
    """A request that is malformed, or names a field or value that does not exist."""

    code = "invalid_request"


class Unauthorized(EditError):
    """No key, or one that is unknown or revoked."""

    code = "invalid_api_key"


class ScopeMissing(EditError):
    """The key may not do this."""

    code = "insufficient_scope"


class ForeignOrigin(EditError):
    """A web page of another origin, or a host name the server does not go by."""

    code = "origin_not_allowed"


class NotFound(EditError):
    """No such thing, or not the caller's."""

    code = "not_found"


class Conflict(EditError):
    """What is asked does not fit the state the thing is in."""

    code = "conflict"


class RepeatMismatch(EditError):
    """An idempotency key that came with another request before."""

    code = "idempotency_mismatch"


class BodyTooLarge(EditError):
    """More bytes than a request may have."""

    code = "request_too_large"


class WrongMediaType(EditError):
    """A body of a type this route does not read."""

    code = "unsupported_media_type"


class AddressNotAllowed(EditError):
    """An address the server will not call."""

    code = "address_not_allowed"


class TooMany(EditError):
    """A limit is reached for now.

    Attributes
    ----------
    retry_after : float
        Seconds after which another try is worth it.
    """

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(TooMany):
    """As many edits wait as may wait."""

    code = "queue_full"


class InternalFault(EditError):
    """A fault of the service; the log says more under the request's id."""

    code = "internal_error"


class WorkerLost(EditError):
    """Every worker that began this edit died of it."""

    code = "worker_lost"


class Superseded(EditError):
    """Another worker has taken over this edit; whoever reads this must stop."""

    code = "superseded"


class Unfinished(EditError):
    """An edit that was waited for and has not ended; it goes on."""

    code = "not_finished"


class Ended(EditError):
    """An edit that was waited for and failed, with the code it failed with."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"], param=error["param"])
        self.code = error["code"]  # pyright: ignore[reportAttributeAccessIssue] - the code is the edit's own
