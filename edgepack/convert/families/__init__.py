"""One short declarative file a family; `table.py` beside this folder lists them."""
