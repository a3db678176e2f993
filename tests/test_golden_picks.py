"""Twelve pairs of device and task, and what is picked for them: reviewed line by line, changed only on purpose.

Whoever changes catalogue, profiles, costs or the choice looks at the new lines, and writes them down with
`python -m tests.test_golden_picks`.
"""

from pathlib import Path

import pytest

from edgepack.domain.licences import ANY
from edgepack.domain.needs import TaskKind, usual_needs
from edgepack.infra.library import load_profile
from edgepack.stages.pick import pick

TABLE = Path(__file__).parent / "data" / "golden-picks.txt"
PAIRS = (
    ("rpi5", TaskKind.CHAT),
    ("rpi5", TaskKind.CLASSIFY),
    ("rpi4", TaskKind.CHAT),
    ("rpi-zero-2w", TaskKind.EXTRACT),
    ("beagleplay", TaskKind.CLASSIFY),
    ("orange-pi-5", TaskKind.ANSWER),
    ("n100", TaskKind.RAG),
    ("helio-g99", TaskKind.REWRITE),
    ("pixel-9", TaskKind.CHAT),
    ("oneplus-12", TaskKind.SUMMARISE),
    ("laptop-ryzen-7840u", TaskKind.CHAT),
    ("macbook-m2", TaskKind.EXTRACT),
)
_SHOWN = 4


def lines(profile: str, kind: TaskKind) -> list[str]:
    """The first of the ranking with the figures that decided, or why the nearest model does not fit."""
    picked = pick(load_profile(profile), usual_needs(kind), policy=ANY)
    found = [f"{profile}, {kind}"]
    for one in picked.choice.ranked[:_SHOWN]:
        contender, speed = one.contender, one.contender.speed
        quality = "?" if contender.quality is None else f"{contender.quality:.0%}"
        assert speed
        found.append(
            f"  {'*' if one.front else ' '} {contender.model} {contender.quant}: quality {quality}, "
            f"{speed.decode:.1f} tokens/s, first token {speed.first_token:.1f} s, {contender.memory.total >> 20} MiB"
        )
    if not picked.choice.ranked:
        nearest = picked.choice.excluded[0]
        found.append(f"    nothing; the smallest, {nearest.contender.model}: {nearest.broken[0].text}")
    return found


@pytest.mark.parametrize(("profile", "kind"), PAIRS, ids=str)
def test_the_picks_are_those_that_were_reviewed(profile: str, kind: TaskKind) -> None:
    assert "\n".join(lines(profile, kind)) in TABLE.read_text(encoding="utf-8")


if __name__ == "__main__":
    TABLE.write_text("\n".join(line for pair in PAIRS for line in [*lines(*pair), ""]), encoding="utf-8")
