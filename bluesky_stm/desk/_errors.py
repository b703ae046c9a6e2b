"""Refusals of the desk: words for people, and a code that a program can read."""

from __future__ import annotations

from typing import Final

from bluesky_stm.errors import LostConnectionError, STMError, UnknownNameError

CODES: Final = {
    "bad-request": 400,
    "unknown-name": 400,
    "no-credential": 401,
    "bad-credential": 401,
    "not-allowed": 403,
    "cross-site": 403,
    "self-approval": 403,
    "not-found": 404,
    "bad-method": 405,
    "refused": 409,
    "decided-already": 409,
    "changed-since": 409,
    "too-old": 410,
    "too-large": 413,
    "wrong-host": 421,
    "too-many": 429,
    "not-there": 503,
}
"""Codes of refusals, with the status that HTTP gives them."""


class Refused(STMError):  # noqa: N818 - it is no fault
    """A request was refused; nothing was asked of the microscope.

    Parameters
    ----------
    code : str
        One of `CODES`.
    said : str
        Why, and what to do.
    """

    def __init__(self, code: str, said: str) -> None:
        super().__init__(said)
        self.code, self.said, self.status = code, said, CODES[code]


def refusal_of(error: BaseException) -> Refused:
    """Return the refusal for what went wrong: the one place in which a fault gets its code.

    Parameters
    ----------
    error : exception
        What was raised; where a library has wrapped a fault of ours, that counts.
    """
    while not isinstance(error, STMError) and error.__cause__ is not None:
        error = error.__cause__
    match error:
        case Refused():
            return error
        case LostConnectionError():
            return Refused("not-there", str(error))
        case UnknownNameError():
            return Refused("unknown-name", str(error))
        case STMError():
            return Refused("refused", str(error))
    return Refused("refused", f"It has failed: {type(error).__name__}: {error}. Nothing was asked of the microscope.")
