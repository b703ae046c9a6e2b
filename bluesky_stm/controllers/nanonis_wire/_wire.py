"""The bytes of the Nanonis TCP protocol: a header of 40 bytes and a body of typed values, big-endian.

Types are written as words: ``H h I i f d`` are numbers (16, 16, 32, 32 bits, float32, float64), ``s`` is a text after its
length in bytes, ``Ai AI Af Ad`` are arrays after their number of elements, ``AS`` is a list of texts after its size in bytes
and its number, ``AT`` is one without its number, ``M`` is a float32 matrix after its rows and columns. ``Nf Ni NI NS`` have as
many elements as the first ``i`` says. Decoding is strict: a body is understood to its last byte, or refused.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from bluesky_stm.controllers.nanonis_wire._errors import ProtocolError
from bluesky_stm.errors import SettingsError

HEADER: Final = struct.Struct(">32siHH")
"""Command name, length of the body, whether an answer is wanted (0 in an answer), nothing."""

LONGEST_REQUEST: Final = 1 << 20
"""Bytes of body that a server takes: far more than the longest command needs."""

LONGEST_ANSWER: Final = 1 << 27
"""Bytes of body that a client takes: twice an image of 4096 x 4096."""

_NUMBERS: Final = {code: struct.Struct(f">{code}") for code in "HhIifd"}
_COUNT: Final = _NUMBERS["i"]
_STATUS: Final = struct.Struct(">Ii")
_ARRAYS: Final = {f"A{code}": np.dtype(f">{kind}") for code, kind in {"i": "i4", "I": "u4", "f": "f4", "d": "f8"}.items()}
_COUNTED: Final = {"Nf": "Af", "Ni": "Ai", "NI": "AI", "NS": "AS"}
"""Arrays whose number of elements the first ``i`` gives, and the types of the same with their own."""

_DEFAULTS: Final = {"s": "", "M": np.empty((0, 0))} | {code: [] for code in ("AS", "AT", *_ARRAYS, *_COUNTED)}


class Header(NamedTuple):
    """The 40 bytes that stand before every body.

    Attributes
    ----------
    command : str
        Name of the command; an answer repeats it.
    length : int
        Bytes of the body.
    wants_answer : bool
        True for a request that is to be answered.
    """

    command: str
    length: int
    wants_answer: bool = False

    def pack(self) -> bytes:
        """Its 40 bytes."""
        return HEADER.pack(self.command.encode("latin-1"), self.length, self.wants_answer, 0)

    @classmethod
    def unpack(cls, data: bytes, longest: int) -> Header:
        """Read the bytes of a header.

        Parameters
        ----------
        data : bytes
            40 bytes.
        longest : int
            Largest number of bytes of a body that is believed; more is refused before anything is stored.

        Raises
        ------
        ProtocolError
            When there is no name of a command, or the length is not possible.
        """
        name, length, wants_answer, _ = HEADER.unpack(data)
        command = name.rstrip(b"\0").decode("latin-1")
        if not (command.isascii() and command.isprintable()) or not command:
            raise ProtocolError(f"{name!r} is no command name: the stream is out of step. It was closed; connect again.")
        if not 0 <= length <= longest:
            raise ProtocolError(
                f"The body of {command} claims {length} bytes, 0 to {longest} are possible. It was not read; connect again."
            )
        return cls(command, length, bool(wants_answer))


def encode(types: str, values: Sequence[object]) -> bytes:
    """Return values as bytes, by their types.

    Parameters
    ----------
    types : str
        Types of the values, as words.
    values : sequence
        A value for each type.

    Raises
    ------
    SettingsError
        When a value does not fit into its type.
    """
    try:
        return b"".join(_encode(code, value) for code, value in zip(types.split(), values, strict=True))
    except (struct.error, OverflowError, ValueError, TypeError) as error:
        raise SettingsError(f"{list(values)!r:.200} cannot be sent as {types!r}: {error}. Nothing was sent.") from None


def decode(types: str, body: bytes) -> list[Any]:
    """Return the values of a body by their types, the inverse of `encode`.

    Parameters
    ----------
    types : str
        Types of the values, as words.
    body : bytes
        All of it has to be used up.

    Raises
    ------
    ProtocolError
        When the body is too short, too long, or holds a count that makes no sense.
    """
    reader = _Reader(body)
    values = [reader.take(code) for code in types.split()]
    reader.end()
    return values


def encode_answer(types: str, values: Sequence[object], error: str = "") -> bytes:
    """Return the body of an answer: the values, then status and text of the error.

    Parameters
    ----------
    types : str
        Types of the values, as words.
    values : sequence
        A value for each type.
    error : str
        Text of the error; empty when all is well.
    """
    text = error.encode()
    return encode(types, values) + _STATUS.pack(bool(error), len(text)) + text


def decode_answer(types: str, body: bytes) -> tuple[list[Any], str]:
    """Values and the text of the error, empty when all is well; a refused command may come without values.

    Raises
    ------
    ProtocolError
        When the body is not made of these types and an error section, to its last byte.
    """
    reader = _Reader(body)
    try:
        values = [reader.take(code) for code in types.split()]
        return values, reader.error()
    except ProtocolError:
        # The lengths of a damaged answer may, by chance, be those of a refusal; but its words would hold bytes of numbers.
        if (text := _only_error(body)) and "\0" not in text:
            return defaults(types), text
        raise


def defaults(types: str) -> list[Any]:
    """Return the values that stand before the text of an error: zeros, empty texts, lists and matrices.

    Parameters
    ----------
    types : str
        Types of the values, as words.
    """
    return [_DEFAULTS.get(code, 0) for code in types.split()]


def client_types(types: str) -> list[str]:
    """Return the same types in the spelling of the vendor's client, for a request.

    Parameters
    ----------
    types : str
        Types of the values, as words.
    """
    spelled = {"s": "+*c"} | {code: f"+*{code[1]}" for code in _ARRAYS}
    return [spelled.get(code, code) for code in types.split()]


class _Reader:
    """Takes values from a body, never beyond its end."""

    def __init__(self, body: bytes) -> None:
        self._body, self._at = body, 0
        self._first: Any = None

    def take(self, code: str) -> Any:
        if code in _NUMBERS:
            number = self._number(_NUMBERS[code])
            if code == "i" and self._first is None:
                self._first = number
            return number
        if code == "NS":
            return [self._text(self._count(1)) for _ in range(self._fitting(self._first, 4))]
        if code in _COUNTED:
            return self._array(_ARRAYS[_COUNTED[code]], self._fitting(self._first, 4))
        if code == "s":
            return self._text(self._count(1))
        if code == "AS":
            return self._texts()
        if code == "AT":
            return self._texts_of(self._at + self._count(1) + _COUNT.size)
        if code == "M":
            rows, columns = self._count(0), self._count(0)
            return self._array(_ARRAYS["Af"], rows * columns).reshape(rows, columns)
        return self._array(_ARRAYS[code], self._count(4))

    def error(self) -> str:
        status, length = self._unpack(_STATUS)
        text = self._text(self._fitting(length, 1))
        self.end()
        if status > 1:
            raise ProtocolError(
                f"An answer ends in status {status} and the text {text!r:.200}. It was not used; connect again."
            )
        # A refusal without words is a refusal, and so are words of an error with a status of 0.
        return text or ("it gives no reason" if status else "")

    def end(self) -> None:
        if self._at != len(self._body):
            raise ProtocolError(
                f"A body of {len(self._body)} bytes should end after {self._at}. It was not used; check the software's version."
            )

    def _bytes(self, length: int) -> bytes:
        taken = self._body[self._at : self._at + length]
        if len(taken) != length:
            raise ProtocolError(
                f"A body of {len(self._body)} bytes ends before the {length} bytes at {self._at}. It was not used; "
                "check the software's version."
            )
        self._at += length
        return taken

    def _unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self._bytes(form.size))

    def _number(self, form: struct.Struct) -> Any:
        return self._unpack(form)[0]

    def _count(self, size: int) -> int:
        """Number of elements of ``size`` bytes that follow."""
        return self._fitting(self._number(_COUNT), size)

    def _fitting(self, count: int, size: int) -> int:
        if count < 0 or count * size > len(self._body) - self._at:
            raise ProtocolError(
                f"{count} elements do not fit into the {len(self._body) - self._at} bytes that are left. The body was not "
                "used; check the software's version."
            )
        return count

    def _text(self, length: int) -> str:
        """UTF-8; what is none, as a path of an older Windows, character by byte."""
        taken = self._bytes(length)
        try:
            return taken.decode()
        except UnicodeDecodeError:
            return taken.decode("latin-1")

    def _texts(self) -> list[str]:
        size, count = self._count(1), self._count(4)
        end = self._at + size
        texts = [self._text(self._count(1)) for _ in range(count)]
        if self._at != end:
            raise ProtocolError(f"A list of {count} texts should end at byte {end}, not {self._at}. It was not used.")
        return texts

    def _texts_of(self, end: int) -> list[str]:
        """Return the texts up to byte ``end``: their number is not said."""
        texts = []
        while self._at < end:
            texts.append(self._text(self._count(1)))
        if self._at != end:
            raise ProtocolError(f"A list of texts should end at byte {end}, not {self._at}. It was not used.")
        return texts

    def _array(self, kind: np.dtype[np.generic], count: int) -> np.ndarray:
        return np.frombuffer(self._bytes(count * kind.itemsize), kind).astype(float if kind.kind == "f" else int)


def _encode(code: str, value: Any) -> bytes:
    if code in _NUMBERS:
        return _NUMBERS[code].pack(value if code in "fd" else int(value))
    if code == "s":
        text = value.encode()
        return _COUNT.pack(len(text)) + text
    if code in {"AS", "AT"}:
        texts = b"".join(_encode("s", text) for text in value)
        return _COUNT.pack(len(texts)) + (_COUNT.pack(len(value)) if code == "AS" else b"") + texts
    if code == "NS":
        return b"".join(_encode("s", text) for text in value)
    array = np.asarray(value).astype(_ARRAYS["Af" if code == "M" else _COUNTED.get(code, code)])
    if code in _COUNTED:
        return array.tobytes()
    return b"".join(map(_COUNT.pack, array.shape)) + array.tobytes()


def _only_error(body: bytes) -> str:
    """Text of a body that is nothing but the error section of a refused command; without words it may be a torn answer."""
    if len(body) == _STATUS.size:
        return ""
    try:
        return _Reader(body).error()
    except ProtocolError:
        return ""
