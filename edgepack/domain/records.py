"""Records that edgepack wrote, read again: a JSON object that names its schema."""

import json

from edgepack.domain.errors import BadInputError
from edgepack.domain.reading import Table


def record_values(text: str, *, subject: str, hint: str) -> dict[str, object]:
    """A record's keys. Raises BadInputError where it is no JSON object."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{subject}: not JSON: {error}", hint=hint) from error
    if not isinstance(values, dict):
        raise BadInputError(f"{subject}: expected a JSON object", hint=hint)
    return values


def record_table(text: str, schema: str, *, subject: str, hint: str) -> Table:
    """The same as a table, its schema checked."""
    table = Table(record_values(text, subject=subject, hint=hint), subject=subject, hint=hint)
    if table.text("schema") != schema:
        table.fail("schema", f"expected {schema}, got {table.text('schema')}")
    return table
