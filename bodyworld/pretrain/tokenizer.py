"""The tokenizer of the small CLIP: CLIP's byte-pair scheme with merges learnt from bodyworld captions."""

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
MAX_TOKENS = 77
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def train_tokenizer(texts: Iterable[str], num_merges: int = 700) -> CLIPTokenizer:
    """A `CLIPTokenizer` in which each word of `texts` is one token; any other text is spelt in bytes."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Lowercase()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + num_merges,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    merges = [tuple(merge) for merge in json.loads(bpe.to_str())["model"]["merges"]]
    pieces = [
        *alphabet,
        *(f"{letter}</w>" for letter in alphabet),
        *("".join(merge) for merge in merges),
        BOS,
        EOS,
    ]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    with TemporaryDirectory() as folder:
        _write_files(vocabulary, merges, Path(folder))
        return CLIPTokenizer.from_pretrained(folder, model_max_length=MAX_TOKENS)


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Save the tokenizer, also as the `vocab.json` and `merges.txt` that transformers before 5 reads."""
    tokenizer.save_pretrained(folder)
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    _write_files(model["vocab"], [tuple(merge) for merge in model["merges"]], folder)


def _write_files(vocabulary: dict[str, int], merges: list[tuple[str, ...]], folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False) + "\n")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
