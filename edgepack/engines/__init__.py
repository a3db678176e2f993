"""Weights are run here, through the libraries that run them."""
