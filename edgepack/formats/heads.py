"""What a device needs of a bundle: the payload, and the files that it does not list, since they are the list."""

import hashlib

from edgepack.domain.bundle import MANIFEST, SIGNATURE, SUMS, PayloadFile
from edgepack.formats.checking import Checked
from edgepack.formats.opening import file_in, read_small
from edgepack.formats.reader import BundleReader


def device_files(reader: BundleReader, checked: Checked, *beside: str) -> tuple[PayloadFile, ...]:
    """The payload and its signature, and of the files `beside` it those that are there."""
    more = (path for path in (SIGNATURE, *beside) if file_in(reader, path))
    heads = [(path, read_small(reader, path)) for path in (MANIFEST, SUMS, *more)]
    own = (PayloadFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest()) for path, data in heads)
    return (*own, *checked.manifest.files)
