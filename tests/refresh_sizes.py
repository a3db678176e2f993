"""Write edgepack/data/sizes.json anew: the catalogue's models at every quantization, as llama.cpp plans their types.

    python -m tests.refresh_sizes

Run it (`make sizes`) whenever the catalogue gets a model, or the pinned llama.cpp another version; tests compare.
"""

import json
from pathlib import Path

from edgepack.convert.outline import config_of, outline
from edgepack.convert.sizes import model_sizes
from edgepack.domain.sizes import SCHEMA, sizes_table
from edgepack.infra.library import load_catalogue

TARGET = Path(__file__).resolve().parent.parent / "edgepack" / "data" / "sizes.json"


def main() -> None:
    models = {}
    for model in load_catalogue().models:
        print(model.id, flush=True)
        models[model.id] = sizes_table(model_sizes(outline(config_of(model))))
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(table, separators=(',', ':'))}" for name, table in models.items()
    )
    TARGET.write_text(f'{{"schema": {SCHEMA}, "models": {{\n{lines}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
