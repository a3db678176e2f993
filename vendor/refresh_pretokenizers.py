"""Read the table of byte-level pre-tokenizers out of the pinned llama.cpp, as data.

    .venv/bin/python vendor/refresh_pretokenizers.py LLAMA_CPP > edgepack/data/pretokenizers.json

llama.cpp knows a byte-level tokenizer by the hash of the ids that it gives to one probing text. The text, the
hashes and the names are its interface; its converter's syntax tree is read here, never run.
"""

import ast
import json
import sys
from pathlib import Path


def table(source: str) -> dict[str, object]:
    """The probing text, and the name for each hash."""
    function = next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.name == "get_vocab_base_pre"
    )
    text = next(
        node.value.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "chktxt"
        and isinstance(node.value, ast.Constant)
    )
    branches = (node for node in function.body if isinstance(node, ast.If))
    names = dict(pair for pair in map(hash_and_name, branches) if pair)
    return {"probe": text, "names": dict(sorted(names.items(), key=lambda item: (item[1], item[0])))}


def hash_and_name(branch: ast.If) -> tuple[str, str] | None:
    """What one `if hash == "...": name = "..."` says."""
    match branch:
        case ast.If(
            test=ast.Compare(comparators=[ast.Constant(value=str(digest))]),
            body=[ast.Assign(value=ast.Constant(value=str(name)))],
        ):
            return digest, name
    return None


if __name__ == "__main__":
    found = table((Path(sys.argv[1]) / "conversion" / "base.py").read_text(encoding="utf-8"))
    json.dump(found, sys.stdout, ensure_ascii=True, indent=1)
    sys.stdout.write("\n")
