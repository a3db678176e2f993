"""Tables and footnotes for people; what stands in them is not its business."""

from collections.abc import Sequence


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns as wide as their longest cell; those numbered in `right` are flush right."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def footnoted(rows: Sequence[tuple[str, str, str | None]]) -> str:
    """Label, text and source a row; sources are numbered and listed once, below."""
    numbers: dict[str, int] = {}
    lines = []
    width = max(len(label) for label, _, _ in rows)
    for label, text, source in rows:
        mark = f"  [{numbers.setdefault(source, len(numbers) + 1)}]" if source else ""
        lines.append(f"  {label.ljust(width)}  {text}{mark}")
    notes = [f"  [{number}] {source}" for source, number in numbers.items()]
    return "\n".join([*lines, "", "Sources", *notes] if notes else lines)
