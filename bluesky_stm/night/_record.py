"""The entries of the start documents that a facility has declared for its own use, each with a JSON schema."""

from __future__ import annotations

from bluesky_stm.errors import SettingsError, UnknownNameError
from bluesky_stm.validated import JSON, UNTOUCHED, Data


def completed_record(about: Data, declared: Data) -> JSON:
    """Return the entries that a night gives, with the defaults of those that it does not.

    Parameters
    ----------
    about : mapping
        Values by name.
    declared : mapping of str to mapping
        JSON schema of each entry; one without a ``default`` has to be given.

    Raises
    ------
    UnknownNameError
        For an entry that nobody has declared.
    SettingsError
        When one is missing, or does not fit its schema. Nothing has been started.
    """
    from jsonschema import ValidationError, validate

    if unknown := sorted(set(about) - set(declared)):
        raise UnknownNameError.among("entry of the start documents (record in the settings file)", unknown[0], declared)
    defaults = {name: schema["default"] for name, schema in declared.items() if "default" in schema}
    entries = {**defaults, **about}
    if missing := [name for name in declared if name not in entries]:
        raise SettingsError(f"The start documents here have to say {', '.join(missing)}: give about={{...}}. {UNTOUCHED}")
    for name, value in entries.items():
        try:
            validate(value, declared[name])
        except ValidationError as error:
            raise SettingsError(
                f"about.{name} = {value!r} does not fit what this facility asks: {error.message}. {UNTOUCHED}"
            ) from None
    return entries
