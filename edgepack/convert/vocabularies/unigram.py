"""XLM-RoBERTa's Unigram vocabulary: SentencePiece's file under fairseq's numbers, or tokenizer.json's own."""

from collections.abc import Iterator
from pathlib import Path

import gguf

from edgepack.convert.charsmap import checked_charsmap, decoded_charsmap
from edgepack.convert.config import Config, read_json
from edgepack.convert.protobuf import fields_of
from edgepack.convert.vocabularies.sentencepiece import stored_pieces
from edgepack.convert.vocabulary import (
    TOKENIZER_HINT,
    Token,
    TokenType,
    Vocabulary,
    configured_tokens,
    padding,
    special_names,
    tokenizer_config,
)
from edgepack.domain.errors import BadInputError

# fairseq's, in the place of SentencePiece's first three.
_FIRST = [
    Token("<s>", TokenType.CONTROL), Token("<pad>", TokenType.CONTROL),
    Token("</s>", TokenType.CONTROL), Token("<unk>", TokenType.UNKNOWN),
]  # fmt: skip
_CLASS_NAMES = ("<s>", "</s>", "<unk>", "<pad>", "<mask>")
# Numbers of fields in sentencepiece_model.proto: of ModelProto, of TrainerSpec, and of NormalizerSpec.
_TRAINER, _NORMALIZER = 2, 3
_MODEL_TYPE = 3
_CHARSMAP, _PREFIX, _TRIMS = 2, 3, 4
_UNIGRAM = 1


def unigram(directory: Path, config: Config) -> Vocabulary | None:
    """None without tokenizer.json: nothing else says what goes around a text."""
    path, pieces = directory / "tokenizer.json", directory / "sentencepiece.bpe.model"
    if not path.is_file():
        return None
    return _of_sentencepiece(pieces, config) if pieces.is_file() else _of_json(path, config)


def _vocabulary(
    path: Path, config: Config, tokens: list[Token], *, prefix: bool, trims: bool, charsmap: bytes
) -> Vocabulary:
    """With `prefix`, texts begin with a space; with `trims`, no two spaces follow each other."""
    kinds = gguf.GGUFValueType
    keys = {
        "tokenizer.ggml.add_space_prefix": gguf.GGUFValue(prefix, kinds.BOOL),
        "tokenizer.ggml.token_type_count": gguf.GGUFValue(config.count("type_vocab_size"), kinds.UINT32),
        "tokenizer.ggml.remove_extra_whitespaces": gguf.GGUFValue(trims, kinds.BOOL),
    }
    if charsmap:
        keys["tokenizer.ggml.precompiled_charsmap"] = gguf.GGUFValue(charsmap, kinds.ARRAY, kinds.UINT8)
    return Vocabulary(model="t5", pre="default", tokens=tuple(tokens), scored=True, merged=False, keys=keys)


def _of_sentencepiece(path: Path, config: Config) -> Vocabulary:
    pieces = stored_pieces(path)
    fields = dict(fields_of(path, path.read_bytes()))
    trainer = dict(fields_of(path, _bytes(fields.get(_TRAINER))))
    normalizer = dict(fields_of(path, _bytes(fields.get(_NORMALIZER))))
    if trainer.get(_MODEL_TYPE, _UNIGRAM) != _UNIGRAM:
        raise BadInputError(f"{path}: not a Unigram vocabulary", hint=TOKENIZER_HINT)
    # Its file has no <mask>: as in the oracle, the last of the padding stands there.
    tokens = _FIRST + _padded(path, config, pieces)[3:-1]
    return _vocabulary(
        path, config, tokens, prefix=bool(normalizer.get(_PREFIX, True)), trims=bool(normalizer.get(_TRIMS, True)),
        charsmap=checked_charsmap(path, _bytes(normalizer.get(_CHARSMAP))),
    )  # fmt: skip


def _padded(path: Path, config: Config, pieces: list[Token]) -> list[Token]:
    size = config.count("vocab_size")
    if len(pieces) > size:
        raise BadInputError(
            f"{path}: {len(pieces)} tokens are more than config.json's vocab_size {size}", hint=TOKENIZER_HINT
        )
    return pieces + [padding(token_id) for token_id in range(len(pieces), size)]


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _of_json(path: Path, config: Config) -> Vocabulary:
    table = Config(path=path, table=read_json(path))
    settings = tokenizer_config(path.parent)
    charsmap = table.section("normalizer").text("precompiled_charsmap")
    if table.section("model").text("type") != "Unigram" or charsmap is None:
        raise BadInputError(
            f"{path}: not a Unigram vocabulary behind SentencePiece's map of characters alone",
            hint="choose a model that has sentencepiece.bpe.model, or another tokenizer.json",
        )
    return _vocabulary(
        path, config, _padded(path, config, _json_pieces(path, table, settings)),
        prefix=settings.flag("add_prefix_space"), trims=settings.flag("clean_up_tokenization_spaces"),
        charsmap=decoded_charsmap(path, charsmap),
    )  # fmt: skip


def _json_pieces(path: Path, table: Config, settings: Config) -> list[Token]:
    model = table.section("model")
    pieces = list(_stored(model))
    numbers = {text: number for number, (text, _) in enumerate(pieces)}
    names = special_names(path.parent)
    configured = [text for _, text, _ in configured_tokens(path.parent)]
    added = {text: numbers[text] for text in (*configured, *names) if text in numbers} | _added(table)
    if settings.text("tokenizer_class") != "PreTrainedTokenizerFast":
        names += _CLASS_NAMES
    kinds = dict.fromkeys(added.values(), TokenType.USER_DEFINED)
    kinds |= {number: TokenType.CONTROL for text, number in (numbers | added).items() if text in names}
    unknown = added.get(settings.text("unk_token") or "", model.table.get("unk_id", 3))
    if isinstance(unknown, int):
        kinds[unknown] = TokenType.UNKNOWN
    texts = {number: text for text, number in added.items()}
    return [
        Token(texts.get(number, text), kinds.get(number, TokenType.NORMAL), score)
        for number, (text, score) in enumerate(pieces)
    ]


def _added(table: Config) -> dict[str, int]:
    """The added tokens' numbers by their texts."""
    entries = table.table.get("added_tokens")
    return {
        entry["content"]: entry["id"]
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("content"), str) and type(entry.get("id")) is int
    }


def _stored(model: Config) -> Iterator[tuple[str, float]]:
    entries = model.table.get("vocab")
    for entry in entries if isinstance(entries, list) else []:
        match entry:
            case [str(text), float() | int() as score]:
                yield text, float(score)
            case _:
                raise BadInputError(f"{model.path}: vocab: expected pieces and scores", hint=TOKENIZER_HINT)
