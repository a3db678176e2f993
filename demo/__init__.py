"""The training workspace of the demo models; not part of the installed package."""
