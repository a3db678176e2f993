"""A model card's front matter, distrusted: what would keep a YAML reader busy for ever is refused unread."""

from pathlib import Path

import gguf
import yaml

from edgepack.domain.errors import BadInputError

_DEEPEST = 64
_FENCE = "---"
HINT = "mend or remove the model card's front matter"


def check_card(directory: Path) -> None:
    """Raise BadInputError for a README.md whose front matter is malformed, nested too deep, or a bomb of aliases.

    Aliases to plain values are common in generated cards; one inside another anchor's value multiplies with it.
    """
    path = directory / "README.md"
    if not path.is_file():
        return
    try:
        depth = anchored = 0
        for event in yaml.parse(_front_matter(path), Loader=yaml.SafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                anchored += bool(anchored or event.anchor)
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
                anchored = max(0, anchored - 1)
            if depth > _DEEPEST or (anchored and isinstance(event, yaml.AliasEvent)):
                raise BadInputError(f"{path}: front matter nests lists or aliases too deep", hint=HINT)
    except (yaml.YAMLError, ValueError) as error:
        raise BadInputError(f"{path}: front matter is malformed ({error})", hint=HINT) from error


def card_licence(directory: Path) -> str | None:
    """The licence that the model card's front matter names, in its own word; None also for a card nobody can read."""
    try:
        check_card(directory)
        card = gguf.Metadata.load_model_card(directory)
    except (BadInputError, yaml.YAMLError, ValueError, TypeError, AttributeError):
        return None  # writing the keys complains of it
    licence = card.get("license_name") or card.get("license")
    return licence if isinstance(licence, str) else None


def _front_matter(path: Path) -> str:
    """The lines between the fences; empty where the file does not begin with one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != _FENCE:
        return ""
    end = lines.index(_FENCE, 1) if _FENCE in lines[1:] else len(lines)
    # The package that reads it takes tabs for spaces too.
    return "\n".join(lines[1:end]).replace("\t", "  ")
