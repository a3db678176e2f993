"""edgepack: from a device profile to a verified, measured bundle with a small language model."""

__version__ = "0.1.0.dev0"
