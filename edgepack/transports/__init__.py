"""Where commands run: run, push, pull, close."""
