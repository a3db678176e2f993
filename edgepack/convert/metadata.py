"""The GGUF keys of a converted checkpoint, in the order in which llama-quantize leaves them."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import yaml

from edgepack.convert.card import HINT, check_card
from edgepack.convert.config import Config, read_json
from edgepack.convert.family import Family, Key
from edgepack.convert.vocabulary import read_vocabulary, write_vocabulary
from edgepack.domain.errors import BadInputError
from edgepack.domain.quant import Quant

# The package warns of keys written twice; the oracle writes some twice too, and the later wins.
logging.getLogger("gguf").setLevel(logging.ERROR)
# What it thinks of model cards is not the user's to hear between our steps.
logging.getLogger("metadata").setLevel(logging.CRITICAL)

_QUANTIZATION_VERSION = "general.quantization_version"
_FILE_TYPE = "general.file_type"


def write_model_keys(directory: Path, name: str, family: Family, config: Config, writer: gguf.GGUFWriter) -> None:
    """Everything but the vocabulary: who made the model, and its hyperparameters.

    The writer must hold all tensors already: the size label counts their elements. `name` takes the place of
    the directory's name, from which the package guesses a model's name, size and version.
    """
    for key in family.keys_before:
        _write_key(family.architecture, key, config, writer)
    writer.add_type(gguf.GGUFType.MODEL)
    write_general(directory, name, writer)
    write_hyperparameters(family, config, writer)


def write_hyperparameters(family: Family, config: Config, writer: gguf.GGUFWriter) -> None:
    """What the family's config says of the model: all that llama.cpp needs to choose types."""
    for key in family.keys:
        _write_key(family.architecture, key, config, writer)


def write_vocabulary_keys(directory: Path, family: Family, config: Config, writer: gguf.GGUFWriter) -> None:
    """The vocabulary, its special tokens, and the chat template."""
    write_vocabulary(read_vocabulary(directory, config, family.vocabularies), directory, config, writer)
    for key in family.keys_after:
        _write_key(family.architecture, key, config, writer)


def write_quant_keys(quant: Quant, writer: gguf.GGUFWriter) -> None:
    """The two keys that llama-quantize sets last."""
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_uint32(_FILE_TYPE, quant.file_type)


def _write_key(architecture: str, key: Key, config: Config, writer: gguf.GGUFWriter) -> None:
    value, type = key.value(config), gguf.GGUFValueType(key.type.value)
    if value is None:
        return
    name = key.name if key.name.startswith("tokenizer.") else f"{architecture}.{key.name}"
    # Assigned, not added: where a family says a key again, the later value takes the first one's place.
    if isinstance(value, tuple):
        writer.kv_data[0][name] = gguf.GGUFValue(list(value), gguf.GGUFValueType.ARRAY, type)
    else:
        writer.kv_data[0][name] = gguf.GGUFValue(value, type)


def write_general(directory: Path, name: str, writer: gguf.GGUFWriter) -> None:
    """Who made what lies in `directory`, as its model card and its name say; the writer holds all tensors."""
    total, shared, expert, experts = writer.get_total_parameter_count()
    metadata = _load_metadata(directory, name, total)
    if metadata.name is None:
        metadata.name = name
    if metadata.size_label is None and total > 0:
        metadata.size_label = gguf.size_label(total, shared, expert, experts)
    metadata.set_gguf_meta_model(writer)


def _load_metadata(directory: Path, name: str, total: int) -> gguf.Metadata:
    check_card(directory)
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        named = Path(scratch) / name
        named.symlink_to(directory.resolve(), target_is_directory=True)
        # The package reads README.md and the JSON files without checking their shapes.
        try:
            metadata = gguf.Metadata.load(None, named, None, total)
        except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise BadInputError(
                f"{directory}: README.md or generation_config.json is malformed ({type(error).__name__})", hint=HINT
            ) from error
    _repetition_penalty(directory, metadata)
    return metadata


def _repetition_penalty(directory: Path, metadata: gguf.Metadata) -> None:
    """The pinned converter reads this name as well; the released package does not yet."""
    path = directory / "generation_config.json"
    if metadata.sampling_penalty_repeat is None and path.is_file():
        config = Config(path=path, table=read_json(path))
        if config.has("repetition_penalty"):
            metadata.sampling_penalty_repeat = config.real("repetition_penalty")
