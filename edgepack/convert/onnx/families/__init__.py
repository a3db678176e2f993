"""One file a family of encoders."""
