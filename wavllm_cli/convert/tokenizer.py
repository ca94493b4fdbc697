"""From a sentencepiece model file to a transformers tokenizer with the same ids.

`LlamaTokenizer.from_pretrained(tokenizer.model)` of transformers 5 orders merges by id instead of score and puts no
space before a text that begins with one: " </SPEECH>" and "two  spaces" come out otherwise.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # made at run time
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import generate_merges

from wavllm_cli.data.files import is_lfs_pointer
from wavllm_cli.errors import UsageError, WavLLMError

SPACE = "▁"
NORMAL, USER_DEFINED, UNUSED = 1, 4, 5  # SentencePiece.Type; the others stand for no text of the user's
UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
_HARD_TEXTS = (
    "", " ", "   ", "hello", " leading", "trailing ", "  two  spaces  each  ", *(" " * n + "x" for n in (5, 15, 40)),
    "\n", "\t", " \n two\r\nlines\tand\ta tab\n", "if x:\n    y = {1: [2]}\n\n\n", "\x00\x01\u200b\ufeff",
    "<SPEECH>", " </SPEECH> x", "[INST]<<SYS>>\nAnswer.\n<</SYS>>\n\nWhat? [/INST]",
    "a </s> b", "<s>", "<<s>></s><unk><pad>", "<0x0A> <0x41>", "▁", "a▁ ▁b ▁",
    "Übersetze “dies” — bitte: groß, naïve, e\u0301", "ÅΩﬁ①½ ＡＢ", "你好，世界", "🙂👍🏽 👨\u200d👩\u200d👧",
    "\"It's\" 'quoted' `code`", "3.14159 1,000,000 00000", "!!!???...",
)  # fmt: skip


def load_sentencepiece(path: str | Path) -> PreTrainedTokenizerFast:
    """A BPE or unigram model such as LLaMA-2's tokenizer.model as a fast tokenizer.

    Nothing in a text can become a control piece: "</s>" is read as four characters, as sentencepiece reads it. The ids
    of BPE models that do not normalise are exact. Two things can differ in others: with a charsmap (NFKC), some rare
    sequences of combining characters; with a unigram model, the choice between equally probable ways ("e" * 37).

    Raises:
        UsageError: there is no such file, or it is no sentencepiece model of these types.
        WavLLMError: the tokenizer's ids would not be sentencepiece's, or the file is a pointer of Git LFS.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(
            f"The tokenizer {path} is a folder: name its tokenizer.model file."
            if path.is_dir()
            else f"The tokenizer {path} does not exist."
        )
    if is_lfs_pointer(path):
        raise WavLLMError(f"{path} is only a Git LFS pointer, not the file itself: run `git lfs pull` in its folder.")
    try:
        processor = SentencePieceProcessor(model_file=str(path))
        proto = ModelProto.FromString(processor.serialized_model_proto())
    except RuntimeError as error:  # sentencepiece's only one
        raise UsageError(
            f"The tokenizer {path} is not a sentencepiece model, or it is damaged: give a tokenizer.model file."
        ) from error
    if proto.trainer_spec.model_type not in (UNIGRAM, BPE):
        kind = proto.trainer_spec.ModelType.Name(proto.trainer_spec.model_type).lower()
        raise UsageError(f"The tokenizer {path} is a {kind} model: only BPE and unigram models can be used.")
    if any(piece.type in (USER_DEFINED, UNUSED) for piece in proto.pieces):
        raise UsageError(f"The tokenizer {path} has user-defined or unused pieces: it cannot be used.")
    tokenizer = _build(processor, proto)
    _check(path, tokenizer, processor, proto)
    return tokenizer


def _build(processor: SentencePieceProcessor, proto: Any) -> PreTrainedTokenizerFast:
    backend = Tokenizer(_bpe(processor, proto) if proto.trainer_spec.model_type == BPE else _unigram(processor, proto))
    if proto.trainer_spec.model_type == UNIGRAM and (apart := _apart(proto)):
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(apart), "merged_with_previous")
    backend.normalizer = _normalizer(proto.normalizer_spec)
    backend.decoder = _decoder(processor, proto)

    def name(token_id: int) -> str | None:
        return None if token_id < 0 else processor.id_to_piece(token_id)

    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=name(processor.bos_id()),
        eos_token=name(processor.eos_id()),
        unk_token=name(processor.unk_id()),
        pad_token=name(processor.pad_id()) or name(processor.unk_id()),
        extra_special_tokens=[p.piece for i, p in enumerate(proto.pieces) if processor.is_control(i)],
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )


def _bpe(processor: SentencePieceProcessor, proto: Any) -> models.BPE:
    scores = {p.piece: p.score for p in proto.pieces if p.type == NORMAL}  # nothing else is made by merging
    return models.BPE(
        vocab={p.piece: i for i, p in enumerate(proto.pieces)},
        merges=generate_merges(scores, scores),
        unk_token=processor.id_to_piece(processor.unk_id()),
        fuse_unk=True,
        byte_fallback=proto.trainer_spec.byte_fallback,
    )


def _unigram(processor: SentencePieceProcessor, proto: Any) -> models.Unigram:
    vocab = [(p.piece, p.score) for p in proto.pieces]
    return models.Unigram(vocab, processor.unk_id(), proto.trainer_spec.byte_fallback)


def _apart(proto: Any) -> str:
    """Pattern of what to cut from the text that follows, so that a unigram model cannot find a control piece in it.

    The cut is made where no piece of text is lost by it and no run of unknown characters is torn.
    """
    texts = {p.piece for p in proto.pieces if p.type == NORMAL}
    joined = {pair for text in texts for pair in pairwise(text)}

    def harmless(piece: str, i: int) -> bool:
        known = proto.trainer_spec.byte_fallback or piece[i - 1] in texts or piece[i] in texts
        return known and (piece[i - 1], piece[i]) not in joined

    tails: dict[str, list[str]] = {}
    for piece in (p.piece for p in proto.pieces if p.piece not in texts):
        cut = next((i for i in range(1, len(piece)) if harmless(piece, i)), 1)  # where there is none, _check will tell
        tails.setdefault(re.escape(piece[:cut]), []).append(re.escape(piece[cut:]))
    return "|".join(f"{head}(?={'|'.join(tail)})" for head, tail in tails.items())


def _normalizer(spec: Any) -> normalizers.Normalizer:
    space = SPACE if spec.escape_whitespaces else " "
    prefix = space if spec.add_dummy_prefix else ""
    parts: list[Any] = []
    if prefix:
        parts.append(normalizers.Prepend(prefix))  # first, because a text that the charsmap empties still gets it
    if spec.precompiled_charsmap:
        # Precompiled replaces a grapheme of several characters by what the first of them becomes: leave it few of them.
        if spec.name.startswith("nmt_"):
            parts.append(normalizers.Replace("\r\n", "\n\n"))
        if "nfkc" in spec.name:
            parts.append(normalizers.NFC())
        parts.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        parts += [
            normalizers.Replace(Regex(rf"\A{prefix} +"), prefix),  # ^ and $ would match at every line
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    if spec.escape_whitespaces:
        parts.append(normalizers.Replace(" ", SPACE))
    if spec.remove_extra_whitespaces:
        parts.append(normalizers.Replace(Regex(rf"{space}+\z"), ""))
    return normalizers.Sequence(parts)


def _decoder(processor: SentencePieceProcessor, proto: Any) -> decoders.Decoder:
    spec = proto.normalizer_spec
    unknown = re.escape(processor.id_to_piece(processor.unk_id()))
    parts: list[Any] = [decoders.Replace(Regex(rf"\A{unknown}\z"), proto.trainer_spec.unk_surface)]
    if proto.trainer_spec.byte_fallback:
        parts.append(decoders.ByteFallback())
    parts.append(decoders.Fuse())
    if spec.add_dummy_prefix or spec.remove_extra_whitespaces:
        parts.append(decoders.Replace(Regex(rf"\A{SPACE}{'+' if spec.remove_extra_whitespaces else ''}"), ""))
    return decoders.Sequence([*parts, decoders.Replace(SPACE, " ")])


def _check(path: Path, tokenizer: PreTrainedTokenizerFast, processor: SentencePieceProcessor, proto: Any) -> None:
    """A tokenizer that is almost right would silently ruin every answer."""
    texts = [*_HARD_TEXTS, *(f"x{p.piece} {p.piece}x" for p in proto.pieces if p.type != NORMAL)]
    if proto.trainer_spec.model_type == BPE:
        texts += [p.piece.replace(SPACE, " ") for p in proto.pieces]
    # Of equally probable orders of the same pieces a unigram model may give either.
    in_order = list if proto.trainer_spec.model_type == BPE else sorted
    expected = processor.encode(texts)
    for text, ids, other in zip(texts, expected, tokenizer(texts, add_special_tokens=False).input_ids, strict=True):
        if in_order(ids) != in_order(other) or processor.decode(ids) != tokenizer.decode(ids):
            raise WavLLMError(
                f"The tokenizer {path} cannot be used: {text!r} would get other ids than sentencepiece gives it."
            )
