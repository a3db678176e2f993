"""How a bundle is written: one small file a format."""
