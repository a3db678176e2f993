"""Weights are made here: a checkpoint becomes one GGUF at its final types, in one pass."""
