"""What `build` and `verify` say of an encoder that was tried on the golden texts."""

from edgepack.domain.golden import Nearness


def near_data(near: Nearness) -> dict[str, object]:
    """For --json."""
    return {"texts": near.texts, "cosine": near.cosine, "ms_per_text": near.milliseconds}


def near_text(near: Nearness) -> str:
    """For people."""
    compared = f"cosine {near.cosine:.5f} at least" if near.texts else "nothing to compare them with"
    return f"{near.texts} known texts, {compared}; {near.milliseconds:.2f} ms a text here"
