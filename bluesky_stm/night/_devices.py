"""The devices of a facility, by name: those of the session, else as happi knows them."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from bluesky.protocols import Readable

from bluesky_stm.errors import SettingsError
from bluesky_stm.validated import UNTOUCHED


def find_devices(names: Iterable[str], known: MutableMapping[str, Readable]) -> dict[str, Readable]:
    """Return devices by their names.

    Parameters
    ----------
    names : iterable of str
        Names in the session, or in the data base of happi (``HAPPI_CFG``).
    known : mapping of str to device
        The devices of the session; one that happi loads is put there, so that it is made once.

    Raises
    ------
    SettingsError
        When a device is not known, or cannot be made. Nothing has been started.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            known[name] = _loaded(name)
    return {name: known[name] for name in wanted}


def _loaded(name: str) -> Readable:
    try:
        import happi
    except ImportError:
        raise SettingsError(
            f"There is no device named {name!r} in this session, and happi is not installed, which might know it: "
            f"pip install 'bluesky-stm[happi]'. {UNTOUCHED}"
        ) from None
    try:
        device: Readable = happi.Client.from_config().load_device(name=name)
    except Exception as error:  # of a configuration, a data base, or a device of somebody else
        raise SettingsError(
            f"There is no device named {name!r} in this session, and happi cannot load it: {type(error).__name__}: {error}. "
            f"{UNTOUCHED} HAPPI_CFG names the file with the data base; happi search '*' lists the devices."
        ) from error
    return device
