"""Ed25519 signatures (RFC 8032) with keys in PEM files; the one file that knows the cryptography library.

What `openssl genpkey -algorithm ed25519` writes is a key. A key's bytes leave this file in no way but a signature.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.domain.errors import BadInputError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_SIZE = 64
"""Bytes of a signature."""
_LARGEST_KEY = 1 << 16
"""Bytes; a key's file has a few hundred."""
_MAKE_ONE = "openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub"


class Signer:
    """A private key, ready to sign."""

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`: always the same 64 bytes."""
        return self._key.sign(data)

    def __repr__(self) -> str:
        return "Signer()"


def load_signer(path: Path, *, ask_password: Callable[[], str]) -> Signer:
    """The private key in a PEM file; `ask_password` is called where it is encrypted.

    Raises BadInputError where there is none, or the password is wrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _read(path)
    password = ask_password().encode() if b"ENCRYPTED" in pem else None
    try:
        key = load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        wrong = "the password is wrong, or it is damaged" if password else "no private key in PEM form"
        raise BadInputError(f"{path}: {wrong}", hint=f"make one: {_MAKE_ONE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInputError(f"{path}: a key, but no Ed25519 key", hint=f"make one: {_MAKE_ONE}")
    return Signer(key)


def is_signed_by(public_key: Path, *, data: bytes, signature: bytes) -> bool:
    """Whether `signature` over `data` was made with the private half of the key in a PEM file.

    Raises BadInputError where the file holds no public Ed25519 key.
    """
    from cryptography.exceptions import InvalidSignature

    key = _public(public_key)
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _public(path: Path) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "give the public half: openssl pkey -in key.pem -pubout -out key.pub"
        raise BadInputError(f"{path}: no public key in PEM form", hint=hint) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInputError(f"{path}: a key, but no Ed25519 key", hint="give the one the bundle was signed with")
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_KEY)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}", hint="check the path of the key") from error
