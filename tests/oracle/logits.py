"""Run each recipe's model by llama.cpp on our GGUF and by transformers on the checkpoint, and compare what they give.

    python -m tests.oracle.logits --llama-cpp SOURCE --python PYTHON [RECIPE …]

PYTHON has torch and transformers, as for record.py. Decoders are compared by logits, encoders by the last hidden
states, position by position, and classifiers by the scores that they give to the whole; what counts is the
smallest cosine. The GGUF is F16, the reference float32.
Exits with 1 when one is below 0.9999.
"""

import argparse
import ctypes
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import llama_cpp
import numpy as np
import numpy.typing as npt

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import opened
from tests.fakes.checkpoints import Recipe, make_checkpoint
from tests.oracle.recipes import RECIPES

WANTED = 0.9999
_TOKENS = 24


def native_rows(gguf: Path, tokens: list[int], *, classifies: bool = False) -> npt.NDArray[np.float32]:
    """A row of logits, or of hidden states for an encoder, for every token; one of scores where it `classifies`."""
    with opened(gguf) as model:
        encoder = not llama_cpp.llama_model_has_decoder(model.handle) or _is_encoder(model.handle)
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = settings.n_batch = settings.n_ubatch = 64
        settings.type_k = settings.type_v = llama_cpp.GGML_TYPE_F32
        settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.embeddings = encoder
        pooled, plain = llama_cpp.LLAMA_POOLING_TYPE_RANK, llama_cpp.LLAMA_POOLING_TYPE_NONE
        settings.pooling_type = pooled if classifies else plain
        context = llama_cpp.llama_init_from_model(model.handle, settings)
        assert context, "no context"
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place], batch.logits[place] = token, place, True
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        run = llama_cpp.llama_encode if encoder else llama_cpp.llama_decode
        assert run(context, batch) == 0
        width = llama_cpp.llama_model_n_embd(model.handle) if encoder else _vocabulary_size(model.handle)
        if classifies:
            rows = [_scores(context, model.handle)]
        else:
            rows = [_row(context, place, width, encoder=encoder) for place in range(len(tokens))]
        llama_cpp.llama_batch_free(batch)
        llama_cpp.llama_free(context)
    return np.stack(rows)


def _is_encoder(model: object) -> bool:
    text = ctypes.create_string_buffer(64)
    llama_cpp.llama_model_meta_val_str(model, b"general.architecture", text, 64)
    return text.value in (b"bert", b"nomic-bert", b"modern-bert", b"xlm-roberta")


def _vocabulary_size(model: object) -> int:
    return int(llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model)))


def _row(context: object, place: int, width: int, *, encoder: bool) -> npt.NDArray[np.float32]:
    get = llama_cpp.llama_get_embeddings_ith if encoder else llama_cpp.llama_get_logits_ith
    return np.ctypeslib.as_array(get(context, place), shape=(width,)).copy()


def _scores(context: object, model: object) -> npt.NDArray[np.float32]:
    scores = llama_cpp.llama_get_embeddings_seq(context, 0)
    return np.ctypeslib.as_array(scores, shape=(llama_cpp.llama_model_n_cls_out(model),)).copy()


def reference_rows(recipe: Recipe, checkpoint: Path, tokens: list[int], python: Path) -> npt.NDArray[np.float32]:
    """The same rows by transformers, in float32."""
    out = checkpoint.parent / "reference.npy"
    command = [python, Path(__file__).with_name("reference.py"), checkpoint, out, ",".join(map(str, tokens))]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run(list(map(str, command)), check=True, env=environment)
    rows: npt.NDArray[np.float32] = np.load(out)
    return rows


def smallest_cosine(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> float:
    """Of any position; padding tokens at the vocabulary's end do not count."""
    width = min(ours.shape[1], theirs.shape[1])
    a, b = ours[:, :width].astype(np.float64), theirs[:, :width].astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def agreement(recipe: Recipe, vocabularies: Path, python: Path) -> float:
    """The smallest cosine between llama.cpp's rows and transformers'."""
    with TemporaryDirectory() as scratch:
        checkpoint = make_checkpoint(recipe, Path(scratch) / recipe.name, vocabularies)
        conversion = open_conversion(checkpoint, recipe.name)
        gguf = Path(scratch) / "ours.gguf"
        write_gguf(conversion, Quant.F16, gguf, threads=2, progress=Silent())
        most = min(conversion.config.count("vocab_size"), 30_000)
        tokens = np.random.default_rng(7).integers(3, most, _TOKENS).tolist()
        classifies = conversion.config.checkpoint_class.endswith("ForSequenceClassification")
        ours = native_rows(gguf, tokens, classifies=classifies)
        return smallest_cosine(ours, reference_rows(recipe, checkpoint, tokens, python))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help="names, or beginnings of names; default: all")
    tools = parser.parse_args()
    wrong = []
    for recipe in RECIPES:
        if recipe.name.startswith(tuple(tools.recipes) or ""):
            cosine = agreement(recipe, tools.llama_cpp / "models", tools.python)
            print(f"{recipe.name:32} {cosine:.7f}", flush=True)
            if not cosine >= WANTED:
                wrong.append(recipe.name)
    sys.exit(f"below {WANTED}: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
