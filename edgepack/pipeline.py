"""The story of a build, in plain typed calls."""
