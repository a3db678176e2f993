"""Whether a bundle on disk is the one about to be written; weights by size alone, all else byte for byte."""

from edgepack.domain.bundle import EVIDENCE, SIGNATURE, SUMS
from edgepack.formats.opening import file_in, is_evidence
from edgepack.formats.payload import Payload, Source
from edgepack.formats.reader import BundleReader, Kind


def payload_stands(reader: BundleReader, payload: Payload) -> bool:
    """Whether the payload is there: the same SHA256SUMS, the same small files, nothing more."""
    expected = {source.file.path for source in payload.sources}
    there = {
        member.path for member in reader.members if member.kind is not Kind.DIRECTORY and not is_evidence(member.path)
    } - {SIGNATURE}  # over the same SHA256SUMS it is as good as it was
    # SHA256SUMS first: it is small, and differs as soon as anything does.
    in_order = sorted(payload.sources, key=lambda source: source.file.path != SUMS)
    return there == expected and all(_stands(reader, source) for source in in_order)


def evidence_stands(reader: BundleReader, payload: Payload) -> bool:
    """Whether there is no new evidence, or it is there already."""
    if not payload.evidence:
        return True
    expected = {source.file.path for source in payload.evidence}
    there = {member.path for member in reader.members if is_evidence(member.path) and member.path != EVIDENCE}
    return there == expected and all(_stands(reader, source) for source in payload.evidence)


def _stands(reader: BundleReader, source: Source) -> bool:
    member = file_in(reader, source.file.path)
    if member is None or member.size != source.file.size or member.mode != source.mode:
        return False
    return not isinstance(source.content, bytes) or b"".join(reader.chunks(member)) == source.content
