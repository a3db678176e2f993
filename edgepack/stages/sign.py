"""A bundle's signature: Ed25519 over SHA256SUMS, beside it; it signs nothing whose every byte it has not checked."""

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.bundle import SIGNATURE, SUMS, Format
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.progress import Progress
from edgepack.formats.archive import TarReader
from edgepack.formats.checking import check_bundle
from edgepack.formats.opening import open_bundle, read_small
from edgepack.formats.partial import partial_directory
from edgepack.formats.payload import WRITTEN_AT
from edgepack.formats.tar import rewrite_tar
from edgepack.infra.signatures import Signer, is_signed_by
from edgepack.infra.store import require_space


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A bundle that carries a signature: the sha256 of what was signed, and the signature's 64 bytes."""

    path: Path
    payload_digest: str
    signature: bytes


def sign(bundle: Path, signer: Signer, *, public_key: Path | None, progress: Progress) -> Signed:
    """Sign the bundle where it lies; an older signature is replaced, and another reader sees the old or the new.

    `public_key`, where given, must be the signer's own half. Raises VerificationError where the bundle is not what
    it says, BadInputError where it is none, NoSpaceError.
    """
    with closing(open_bundle(bundle)) as reader:
        if reader.format is Format.APK:
            raise UsageError(f"{bundle}: an APK, which has Android's own signature", hint="sign a directory or a tar")
        checked = check_bundle(reader, bundle, progress)
        sums = read_small(reader, SUMS)
        signature = signer.sign(sums)
        if public_key and not is_signed_by(public_key, data=sums, signature=signature):
            raise BadInputError(
                f"{public_key}: not the public half of this key",
                hint="give the two halves of one key, or no --public",
            )
        if isinstance(reader, TarReader):
            _into_tar(bundle.resolve(), reader, signature, progress)
        else:
            _into_directory(bundle.resolve(), signature)
    return Signed(path=bundle, payload_digest=checked.payload_digest, signature=signature)


def _into_directory(bundle: Path, signature: bytes) -> None:
    with partial_directory(bundle) as scratch:
        new = scratch / SIGNATURE
        new.write_bytes(signature)
        new.chmod(0o644)
        os.utime(new, (WRITTEN_AT, WRITTEN_AT))
        new.replace(bundle / SIGNATURE)
    os.utime(bundle, (WRITTEN_AT, WRITTEN_AT))


def _into_tar(bundle: Path, reader: TarReader, signature: bytes, progress: Progress) -> None:
    size = bundle.stat().st_size
    with partial_directory(bundle) as scratch, progress.bar("sign", size, "B") as bar:
        require_space(scratch, size + (1 << 16), "the signed bundle")
        rewrite_tar(reader, scratch / "new", top=reader.top, files={SIGNATURE: signature}, bar=bar)
        (scratch / "new").replace(bundle)
