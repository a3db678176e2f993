"""`edgepack sign`: a bundle signed where it lies; the stage does the work, the password is asked for here."""

import os
from pathlib import Path

import click

from edgepack.cli.options import output_of, output_options
from edgepack.infra.signatures import load_signer
from edgepack.stages.sign import Signed, sign

_PASSWORD = "EDGEPACK_KEY_PASSWORD"  # noqa: S105 - the name of a variable
_PEM = click.Path(path_type=Path, dir_okay=False)


@click.command(name="sign")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--key", type=_PEM, required=True, metavar="PEM", help="The private Ed25519 key, encrypted or not.")
@click.option("--public", type=_PEM, metavar="PEM", help="Its public half: sign only where they belong together.")
@output_options
@click.pass_context
def command(context: click.Context, bundle: Path, key: Path, public: Path | None) -> None:
    """Check every byte of BUNDLE, a directory or a .tar, and sign it: SHA256SUMS.sig beside SHA256SUMS.

    The password of an encrypted key is asked for, or taken from EDGEPACK_KEY_PASSWORD. A key is made by
    `openssl genpkey -algorithm ed25519 -out key.pem`, its public half by `openssl pkey -in key.pem -pubout`.
    """
    output = output_of(context)
    signer = load_signer(key, ask_password=_password)
    signed = sign(bundle, signer, public_key=public, progress=output)
    output.result("sign", _values(signed), lambda: _text(signed))


def _password() -> str:
    said = os.environ.get(_PASSWORD)
    if said is not None:
        return said
    word: str = click.prompt("password of the key", hide_input=True, err=True)
    return word


def _values(signed: Signed) -> dict[str, object]:
    return {
        "bundle": str(signed.path), "payload_digest": signed.payload_digest, "signature": signed.signature.hex(),
    }  # fmt: skip


def _text(signed: Signed) -> str:
    return f"{signed.path}: signed\n  payload   sha256:{signed.payload_digest}"
