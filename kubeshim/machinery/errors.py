"""What goes wrong, in Kubernetes' words: one table between class, ``Status`` reason and HTTP code.

The server raises these and one place renders them; the client rebuilds them from the ``Status`` it got.

    APIStatusError
    ├── BadRequest 400            ├── MethodNotAllowed 405        ├── UnsupportedMediaType 415
    ├── Unauthorized 401          ├── NotAcceptable 406           ├── Invalid 422
    ├── Forbidden 403             ├── Conflict 409                ├── TooManyRequests 429
    ├── NotFound 404              │   └── AlreadyExists 409       ├── InternalError 500
    ├── Expired 410               ├── RequestEntityTooLarge 413   ├── ServiceUnavailable 503
    └── Gone 410                                                  └── ServerTimeout / Timeout 504

Source: Kubernetes API conventions, "Response Status Kind".
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar


@dataclasses.dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field: becomes a cause of a 422 ``Status``.

    ``reason`` is of upstream's list: ``FieldValueRequired``, ``FieldValueInvalid``, ``FieldValueNotSupported``,
    ``FieldValueForbidden``, ``FieldValueDuplicate``, ``FieldValueNotFound``, ``FieldValueTooLong``,
    ``FieldValueTooMany``, ``FieldValueTypeInvalid``, ``InternalError``. ``message`` is the whole text after
    ``field: `` (``Invalid value: "x": must be …``); ``machinery.validation.fields`` words it.
    """

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def cause(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class APIStatusError(Exception):
    """An answer other than success, as ``metav1.Status`` tells it."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        code: int | None = None,
        reason: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        self._detailed = details is not None
        self.status_code = code if code is not None else type(self).code
        self.status_reason = reason if reason is not None else type(self).reason
        self.metadata = dict(metadata) if metadata else {}

    @property
    def retry_after(self) -> int | None:
        """Seconds after which to try again, where the server says so."""
        return self.details.get("retryAfterSeconds")

    @property
    def causes(self) -> Sequence[Mapping[str, str]]:
        return self.details.get("causes") or ()

    def status(self) -> dict[str, Any]:
        """The ``Status`` object that goes over the wire."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.status_reason:
            body["reason"] = self.status_reason
        if self.details or self._detailed:
            # Empty details are told as well: a refusal by the router has them, a bad request has none at all.
            body["details"] = self.details
        body["code"] = self.status_code
        return body


class BadRequest(APIStatusError):
    code, reason = 400, "BadRequest"


class Unauthorized(APIStatusError):
    code, reason = 401, "Unauthorized"


class Forbidden(APIStatusError):
    code, reason = 403, "Forbidden"


class NotFound(APIStatusError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(APIStatusError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(APIStatusError):
    code, reason = 406, "NotAcceptable"


class Conflict(APIStatusError):
    code, reason = 409, "Conflict"


class AlreadyExists(Conflict):
    code, reason = 409, "AlreadyExists"


class Gone(APIStatusError):
    code, reason = 410, "Gone"


class Expired(APIStatusError):
    code, reason = 410, "Expired"


class RequestEntityTooLarge(APIStatusError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(APIStatusError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(APIStatusError):
    code, reason = 422, "Invalid"


class TooManyRequests(APIStatusError):
    code, reason = 429, "TooManyRequests"


class InternalError(APIStatusError):
    code, reason = 500, "InternalError"


class ServiceUnavailable(APIStatusError):
    code, reason = 503, "ServiceUnavailable"


class ServerTimeout(APIStatusError):
    code, reason = 504, "ServerTimeout"


class Timeout(APIStatusError):
    code, reason = 504, "Timeout"


_BY_REASON: dict[str, type[APIStatusError]] = {
    cls.reason: cls
    for cls in (
        BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, Conflict, AlreadyExists, Gone,
        Expired, RequestEntityTooLarge, UnsupportedMediaType, Invalid, TooManyRequests, InternalError,
        ServiceUnavailable, ServerTimeout, Timeout,
    )
}  # fmt: skip
_BY_CODE: dict[int, type[APIStatusError]] = {
    400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 405: MethodNotAllowed, 406: NotAcceptable,
    409: Conflict, 410: Gone, 413: RequestEntityTooLarge, 415: UnsupportedMediaType, 422: Invalid,
    429: TooManyRequests, 500: InternalError, 503: ServiceUnavailable, 504: Timeout,
}  # fmt: skip


def from_status(status: Mapping[str, Any], http_code: int = 0) -> APIStatusError:
    """The client's direction: the exception a ``Status`` object stands for."""
    code = int(status.get("code") or http_code or 500)
    reason = str(status.get("reason") or "")
    cls = _BY_REASON.get(reason) or _BY_CODE.get(code, APIStatusError)
    return cls(
        str(status.get("message") or ""),
        details=status.get("details") or {},
        code=code,
        reason=reason,
        metadata=status.get("metadata") or {},
    )


def not_found(group: str, plural: str, name: str) -> NotFound:
    """``pods "x" not found`` / ``deployments.apps "x" not found``."""
    return NotFound(f'{_qualified(plural, group)} "{name}" not found', details=_details(name, group, plural))


def already_exists(group: str, plural: str, name: str) -> AlreadyExists:
    return AlreadyExists(f'{_qualified(plural, group)} "{name}" already exists', details=_details(name, group, plural))


def conflict(group: str, plural: str, name: str, why: str) -> Conflict:
    return Conflict(
        f'Operation cannot be fulfilled on {_qualified(plural, group)} "{name}": {why}',
        details=_details(name, group, plural),
    )


def internal(why: object) -> InternalError:
    """``Internal error occurred: …``, which says the same as its one cause."""
    return InternalError(f"Internal error occurred: {why}", details={"causes": [{"message": str(why)}]})


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"
"""The reason a stale resourceVersion is refused with."""


def forbidden(group: str, plural: str, name: str, why: str) -> Forbidden:
    """A refusal by admission or authorization, naming the resource."""
    named = f'{_qualified(plural, group)} "{name}"' if name else f"{_qualified(plural, group)}"
    return Forbidden(f"{named} is forbidden: {why}", details=_details(name, group, plural))


def invalid(group: str, kind: str, name: str, problems: Iterable[FieldError]) -> Invalid:
    """``Deployment.apps "x" is invalid: …``, one cause a problem."""
    found = list(problems)
    texts = list(dict.fromkeys(str(problem) for problem in found))
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details: dict[str, Any] = _details(name, group, kind)
    details["causes"] = [problem.cause() for problem in found]
    return Invalid(f'{_qualified(kind, group)} "{name}" is invalid: {joined}', details=details)


def _qualified(noun: str, group: str) -> str:
    return f"{noun}.{group}" if group else noun


def _details(name: str, group: str, kind: str) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    if kind:
        details["kind"] = kind
    return details
