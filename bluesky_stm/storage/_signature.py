"""Signatures by the key of a facility: who closed a run, and not only that nothing has changed since.

A key is made once, ``openssl genpkey -algorithm ed25519 -out facility.pem``, and its public half is given to those who check,
``openssl pkey -in facility.pem -pubout -out facility.pub``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bluesky_stm.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY: Final = "BLUESKY_STM_KEY"
"""Environment variable that names the file with the private key; without it nothing is signed."""


def signer(environment: Mapping[str, str] = os.environ) -> Callable[[bytes], str] | None:
    """Return what signs with the key that the environment names; None where it names none.

    Parameters
    ----------
    environment : mapping of str
        Variables of the environment.

    Raises
    ------
    SettingsError
        When the file holds no private key of Ed25519, or the package ``cryptography`` is not there.
    """
    if not environment.get(KEY):
        return None
    key = _loaded(Path(environment[KEY]).expanduser(), "private")
    return lambda signed: str(key.sign(signed).hex())


def check_key(path: Path) -> None:
    """Refuse what is no public key, also where there is no signature to check.

    Parameters
    ----------
    path : Path
        File in PEM.

    Raises
    ------
    SettingsError
        When the file holds no public key of Ed25519, or the package ``cryptography`` is not there.
    """
    _loaded(path, "public")


def check_signature(path: Path, signed: bytes, signature: str) -> bool:
    """Return True when a signature was made with the key whose public half is in a file.

    Parameters
    ----------
    path : Path
        File in PEM.
    signed : bytes
        What was signed.
    signature : str
        The signature in hexadecimal.

    Raises
    ------
    SettingsError
        When the file holds no public key of Ed25519, or the package ``cryptography`` is not there.
    """
    key = _loaded(path, "public")
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(bytes.fromhex(signature), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _loaded(path: Path, half: str) -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
    except ImportError:
        raise SettingsError(
            "Signatures need the package cryptography: pip install 'bluesky-stm[signatures]'. Nothing has been started."
        ) from None
    try:
        data = path.read_bytes()
        key = load_pem_private_key(data, None) if half == "private" else load_pem_public_key(data)
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"{path} holds no {half} key in PEM: {error}. Nothing has been started.") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        raise SettingsError(
            f"{path} holds a key of another kind than Ed25519. Nothing has been started. Make one of that kind."
        )
    return key
