"""The ways in which checkpoints keep their vocabularies, one a file."""
