"""BERTScore by bert-score, with any encoder by name or folder."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavllm_cli.data.origin import foreign_code, locate
from wavllm_cli.errors import UsageError, WavLLMError, reason
from wavllm_cli.scoring.measure import Measure, References, check_pairs, listed, several, share
from wavllm_cli.scoring.metrics.metric import Metric, Texts
from wavllm_cli.text.languages import language_code

if TYPE_CHECKING:
    from bert_score import BERTScorer

DEFAULT_LENGTH = 512  # tokens, where neither the tokenizer nor the model has a limit
UNKNOWN_LENGTH = 1_000_000  # tokenizers that know no limit say a number beyond this one


def bert_score(
    references: References,
    hypotheses: Sequence[str],
    model: str,
    language: str | None,
    rescale: bool = False,
) -> Measure:
    """The mean F1 of BERTScore, without idf weights.

    The statistics of a row are its F1 and 1. A row with an empty side, or two, counts 0, rescaled or not: bert-score
    gives a raw 0 there, which rescaling would make a penalty.

    Args:
        references: one or more a row; the nearest counts, as in bert-score.
        hypotheses: same length.
        model: an encoder's name on the Hugging Face hub or its folder, with "@" and the layer to read
            ("bert-base-uncased@9"); models that bert-score knows need no layer.
        language: a code or an English name; only rescaling asks for it.
        rescale: make unrelated sentences score 0, by the baseline that bert-score ships for model and language.

    Raises:
        ValueError: the two sequences differ in length.
        UsageError: there is no such model, layer or baseline, or the layer is missing.
    """
    import numpy as np

    check_pairs(references, hypotheses)
    references = listed(references)
    name, layer = _name_and_layer(model)
    rescale_for = _language_with_baseline(name, language) if rescale else None
    scorer = _scorer(name, layer, rescale_for)
    said = [[text for text in texts if text.strip()] for texts in references]
    spoken = [i for i, text in enumerate(hypotheses) if text.strip() and said[i]]
    statistics = np.stack([np.zeros(len(references)), np.ones(len(references))], axis=1)
    if spoken:
        f1 = scorer.score([hypotheses[i] for i in spoken], [said[i] for i in spoken])[2]
        statistics[spoken, 0] = f1.numpy()
    return Measure(
        metric="bertscore",
        statistics=statistics,
        figure=share,
        signature=f"bertscore|f1|model:{name}|layer:{layer}|idf:no|rescaled:{rescale_for or 'no'}"
        f"{several(references)}|bert-score:{version('bert-score')}|transformers:{version('transformers')}",
    )


def _name_and_layer(model: str) -> tuple[str, int]:
    from bert_score.utils import model2layers

    name, mark, layer = model.rpartition("@")
    if mark and layer.isdecimal():
        return name, int(layer)
    if model in model2layers:
        return model, model2layers[model]
    raise UsageError(
        f"BERTScore knows no best layer of '{model}': say which one to read, for example '{model}@9', "
        "or take a model that it knows, such as roberta-large."
    )


def _language_with_baseline(name: str, language: str | None) -> str:
    import bert_score

    if language is None:
        raise UsageError("Rescaled BERTScore needs the language of the texts: its baselines are made per language.")
    code = language_code(language)
    folder = Path(bert_score.__file__).parent / "rescale_baseline"
    if not Path(f"{folder}/{code}/{name}.tsv").is_file():
        known = sorted(path.parent.name for path in folder.glob(f"*/{name}.tsv"))
        cure = f"there is one for {', '.join(known)}" if known else "there is none for any language"
        raise UsageError(f"bert-score has no baseline of '{name}' for '{language}' ({cure}): leave rescaling out.")
    return code


@lru_cache(maxsize=1)  # every task of every system asks for the same one
def _scorer(name: str, layer: int, rescale_for: str | None) -> "BERTScorer":
    from bert_score import BERTScorer

    # bert-score's own loaders would ask on stdin whether code may run.
    try:
        found = foreign_code(locate(name))
    except WavLLMError as error:
        raise _not_loaded(name, error) from error
    if found:
        raise UsageError(f"{found}: BERTScore runs no model's own code, choose another one.")
    try:
        scorer = BERTScorer(name, layer, lang=rescale_for, rescale_with_baseline=rescale_for is not None)
    except AssertionError as error:  # bert-score's only check of a layer
        raise UsageError(f"BERTScore cannot read layer {layer} of '{name}': {reason(error)}.") from error
    except (OSError, ValueError) as error:
        raise _not_loaded(name, error) from error
    _limit_length(scorer._tokenizer, scorer._model)
    return scorer


def _not_loaded(name: str, error: Exception) -> UsageError:
    return UsageError(
        f"The model '{name}' for BERTScore cannot be loaded: {reason(error).rstrip('.')}. "
        "Give a name on the Hugging Face hub or the folder of an encoder and its tokenizer."
    )


def _limit_length(tokenizer: Any, model: Any) -> None:
    """Cut texts where the model's positions end: bert-score asks the tokenizer, and not every tokenizer knows."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    if table is not None:
        # RoBERTa's family counts positions from behind the padding token's.
        limit = table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    else:
        limit = DEFAULT_LENGTH if tokenizer.model_max_length > UNKNOWN_LENGTH else tokenizer.model_max_length
    tokenizer.model_max_length = min(tokenizer.model_max_length, limit)


def _apply(given: Texts) -> list[Measure]:
    if not given.encoder:
        raise UsageError("BERTScore needs an encoder: name one, for example --bertscore roberta-large.")
    return [bert_score(given.references, given.texts, given.encoder, given.language, given.rescale)]


METRICS = (Metric("bertscore", "BERTScore", Texts, _apply, meaning="likeness of answer and reference to an encoder"),)
