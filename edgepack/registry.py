"""What is supported, on one page."""
