"""`edgepack verify`: every byte of a bundle checked, and its model asked; the stage does the work."""

from pathlib import Path

import click

from edgepack.cli.near import near_data, near_text
from edgepack.cli.options import output_of, output_options
from edgepack.stages.verify import SignatureState, Verdict, verify


@click.command(name="verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--run/--no-run", "run_model", default=True, help="Let the model answer a prompt, or check bytes only.")
@click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False), metavar="PEM",
    help="The public key that must have signed it.",
)  # fmt: skip
@output_options
@click.pass_context
def command(context: click.Context, bundle: Path, run_model: bool, key: Path | None) -> None:
    """Check every byte of BUNDLE, a directory or a .tar, and run its model.

    Exits with 7 where a file is missing, extra or changed, --key has not signed it or the model does not run, with 4
    where BUNDLE is no bundle.
    """
    output = output_of(context)
    verdict = verify(bundle, run_model=run_model, progress=output, key=key)
    output.result("verify", _values(verdict), lambda: _text(verdict))


def _values(verdict: Verdict) -> dict[str, object]:
    facts, answer = verdict.manifest.facts, verdict.answer
    return {
        "bundle": str(verdict.path),
        "format": verdict.format,
        "name": facts.name,
        "payload_digest": verdict.payload_digest,
        "files": verdict.files,
        "bytes": verdict.size,
        "weights": {"path": verdict.manifest.weights.path, "sha256": verdict.manifest.weights.sha256},
        "over_3b": facts.over_3b,
        "signature": verdict.signature,
        "answer": answer
        and {"prompt": answer.prompt, "text": answer.text, "tokens": answer.tokens, "chat": answer.chat},
        "near": verdict.near and near_data(verdict.near),
    }


def _text(verdict: Verdict) -> str:
    facts, answer = verdict.manifest.facts, verdict.answer
    quantization = facts.quantization or "as delivered"
    lines = [
        f"{facts.name}: every byte is right",
        f"  checked   {verdict.files} files, {verdict.size / 1e6:,.1f} MB, in a {_KIND[verdict.format]}",
        f"  payload   sha256:{verdict.payload_digest}",
        f"  model     {facts.model.name} {quantization}, {facts.model.parameters / 1e6:,.1f} M parameters, "
        f"for {facts.profile.name}",
    ]
    if verdict.signature is not SignatureState.ABSENT:
        lines.append(f"  signature {_SIGNATURE[verdict.signature]}")
    if facts.over_3b:
        lines.append("  note      over 3 billion parameters, allowed by whoever made it")
    if verdict.near:
        lines.append(f"  encoder   {near_text(verdict.near)}")
    elif answer is None:
        lines.append("  answer    not asked (--no-run)")
    else:
        lines += [f"  prompt    {answer.prompt}", f"  answer    {_shown(answer.text)}"]
    return "\n".join(lines)


_SIGNATURE = {SignatureState.GOOD: "by this key", SignatureState.UNCHECKED: "there is one, not checked: give --key"}
_KIND = {"dir": "directory", "tar": "tar"}


def _shown(text: str) -> str:
    """A model's words on one line, without what a terminal would obey."""
    words = " ".join(text.split())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in words)
