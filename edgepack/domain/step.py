"""A step of work by its inputs: what a cache may key on. Knows no path, no time and no machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What a result depends on, and nothing else: contents by digest, parameters by value, the tool by version."""

    name: str
    inputs: Mapping[str, str]
    """Name of an input -> sha256 of its content."""
    parameters: Mapping[str, str]
    tool: str
    """Name and version of what does the work."""

    @property
    def key(self) -> str:
        """64 hexadecimal digits; equal exactly where the step is."""
        return sha256(json.dumps(self.table(), sort_keys=True).encode()).hexdigest()

    def table(self) -> dict[str, object]:
        """The step as JSON, for the entry that its result is kept in."""
        return {
            "step": self.name,
            "inputs": dict(self.inputs),
            "parameters": dict(self.parameters),
            "tool": self.tool,
        }
