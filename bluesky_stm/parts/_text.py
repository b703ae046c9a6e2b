"""Settings that stand in one text, as at a command line: ``hue=4,ends=[2,3],word="a, b"``."""

from __future__ import annotations

import json
import re

from bluesky_stm.errors import SettingsError
from bluesky_stm.validated import JSON, UNTOUCHED


def read_settings(text: str, rest: str, leading: str, part: str) -> JSON:
    """Read the settings behind the colon of a choice.

    Parameters
    ----------
    text : str
        The whole choice, for the messages.
    rest : str
        What stands behind the colon.
    leading : str
        Setting that may stand there without its name; empty for none.
    part : str
        What is chosen, for the messages.

    Raises
    ------
    SettingsError
        When a piece sets nothing, or a setting is given twice.
    """
    if not rest.strip():
        raise SettingsError(
            f"Nothing stands behind the colon of {text!r}: leave the colon out, or say what is set. {UNTOUCHED}"
        )
    if leading and not re.match(r"\s*\w+\s*=", rest):
        return {leading: rest}
    pairs = [pair.partition("=") for pair in _split(rest)]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise SettingsError(
            f"{wrong[0]!r} in {text!r} sets nothing of {part}: write SETTING=VALUE, separated by commas. {UNTOUCHED}"
        )
    keys = ["name", *(key.strip() for key, _, _ in pairs)]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise SettingsError(f"{text!r} sets {', '.join(sorted(twice))} twice: leave one of them out. {UNTOUCHED}")
    return dict(zip(keys[1:], (read_value(value) for _, _, value in pairs), strict=True))


def _split(text: str) -> list[str]:
    """Split at the commas that stand in no bracket and no quotation."""
    pieces, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == '"'
        depth += 0 if quoted else (character in "[{(") - (character in "]})")
        if character == "," and not depth and not quoted:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces


def read_value(text: str) -> object:
    """Read JSON, a list of words as they stand (``[budget,time:3]``), or one word as it stands."""
    text = text.strip()
    try:
        return json.loads(text, object_pairs_hook=_each_key_once)
    except ValueError as error:
        if isinstance(error, SettingsError):
            raise
    if text.startswith("[") and text.endswith("]"):
        return [read_value(piece) for piece in _split(text[1:-1])]
    return text


def _each_key_once(pairs: list[tuple[str, object]]) -> JSON:
    keys = [key for key, _ in pairs]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise SettingsError(f"{', '.join(sorted(twice))} is set twice in one object: leave one of them out. {UNTOUCHED}")
    return dict(pairs)
