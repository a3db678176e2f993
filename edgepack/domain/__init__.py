"""Frozen types, enums, pure arithmetic and errors: the words every other floor speaks; no I/O."""
