"""What the model's reading of the golden text gives on this machine, for devices to compare theirs with."""

from pathlib import Path

from edgepack.domain.progress import Progress


def golden(weights: Path, text: str, *, adapter: Path | None, threads: int, progress: Progress) -> str:
    """The lines of `evidence/golden.txt`: a comment, and a mean loss in nats for each chunk and those before it."""
    from edgepack.engines.llamacpp import runtime
    from edgepack.engines.llamacpp_losses import mean_losses

    progress.step("reading the golden text")
    losses = mean_losses(weights, text, adapter=adapter, threads=threads)
    ran = runtime()
    made = f"# {ran.name} {ran.version}, {ran.build}\n"
    return made + "".join(f"{loss:.6f}\n" for loss in losses)
