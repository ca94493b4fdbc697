import random
import sys
from importlib.metadata import version
from pathlib import Path

import bert_score as library
import numpy as np
import pytest
import torch

from wavllm_cli.errors import UsageError
from wavllm_cli.scoring.metrics.bertscore import _name_and_layer, bert_score

LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß"
POSITIONS = 40


def save(folder, model_class, tokenizer, **config):
    """A model of random weights that tell texts apart, and its tokenizer."""
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 3, "intermediate_size": 64}
    config = model_class.config_class(vocab_size=len(tokenizer), initializer_range=0.5, **sizes, **config)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model_class(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """Function: a folder with a tiny BERT whose tokenizer knows the given length, or none."""
    from transformers import BertModel, BertTokenizer

    def make(**length) -> str:
        folder = tmp_path_factory.mktemp("bert")
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{c}" for c in LETTERS), "猫", "犬"]
        (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
        tokenizer = BertTokenizer(str(folder / "vocab.txt"), strip_accents=False, **length)
        return save(folder, BertModel, tokenizer, max_position_embeddings=POSITIONS)

    return make


@pytest.fixture(scope="module")
def tiny(bert) -> str:
    return bert(model_max_length=POSITIONS)


@pytest.fixture(scope="module")
def pairs():
    """500 pairs of short texts, some longer than the model can read; none is empty."""
    rng = random.Random(0)
    words = ["größe", "über", "it", "cat", "sat", "猫", "犬猫", "don't", "?", "x,"]
    return [[" ".join(rng.choices(words, k=rng.choice((1, 2, 3, 5, 20)))) for _ in range(500)] for _ in "rh"]


@pytest.mark.parametrize("layer", [1, 2])
def test_rows_are_bert_scores_own(tiny, pairs, layer):
    references, hypotheses = pairs
    measure = bert_score(references, hypotheses, f"{tiny}@{layer}", None)
    f1 = library.score(hypotheses, references, model_type=tiny, num_layers=layer)[2].numpy()
    np.testing.assert_array_equal(measure.rows, f1)
    assert measure.value == pytest.approx(f1.mean(dtype=float), rel=1e-12)
    assert np.ptp(f1) > 0.1
    assert measure.signature == (
        f"bertscore|f1|model:{tiny}|layer:{layer}|idf:no|rescaled:no"
        f"|bert-score:{version('bert-score')}|transformers:{version('transformers')}"
    )


def test_a_row_with_an_empty_side_counts_nothing_and_leaves_the_others_alone(tiny):
    rows = bert_score(["cat", "", "cat", "", " "], ["it", "it", " ", "", "x"], f"{tiny}@2", None).rows
    assert rows[0] == bert_score(["cat"], ["it"], f"{tiny}@2", None).value > 0
    np.testing.assert_array_equal(rows[1:], 0)
    assert bert_score([""], ["cat"], f"{tiny}@2", None).value == 0
    assert bert_score([], [], f"{tiny}@2", None).value == 0


def test_a_tokenizer_without_a_limit_is_given_the_models(bert, tiny, pairs):
    limitless = bert()
    with pytest.raises(OverflowError):
        library.score(["cat"], ["cat"], model_type=limitless, num_layers=2)
    some = [side[:50] for side in pairs]
    ours, limited = (bert_score(*some, f"{model}@2", None).rows for model in (limitless, tiny))
    np.testing.assert_array_equal(ours, limited)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    """Function: a folder with a tiny RoBERTa; keyword arguments are its tokenizer's."""
    from tokenizers import pre_tokenizers
    from transformers import RobertaModel, RobertaTokenizer

    def make(**options) -> str:
        pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġc"]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        tokenizer = RobertaTokenizer(vocab=vocabulary, merges=[("Ġ", "c")], **options)
        folder = tmp_path_factory.mktemp("roberta")
        return save(folder, RobertaModel, tokenizer, max_position_embeddings=POSITIONS + 2, pad_token_id=1)

    return make


def test_a_long_text_fits_into_a_model_whose_positions_begin_late(roberta):
    assert 0 < bert_score(["cat " * 50], ["it " * 50], f"{roberta()}@2", None).value < 1


@pytest.fixture
def baseline(tiny, tmp_path, monkeypatch) -> float:
    """bert-score ships a baseline of the tiny BERT's F1 for German; this is its number."""
    package = tmp_path / "bert_score"
    for module in ("bert_score", "bert_score.score", "bert_score.scorer"):
        monkeypatch.setattr(sys.modules[module], "__file__", str(package / "module.py"))
    table = Path(f"{package}/rescale_baseline/de/{tiny}.tsv")
    table.parent.mkdir(parents=True)
    table.write_text("LAYER,P,R,F\n" + "".join(f"{layer},0.5,0.5,0.25\n" for layer in range(4)))
    return 0.25


@pytest.mark.parametrize("language", ["de", "de-AT", "German"])
def test_rescaling_moves_the_baseline_to_zero(tiny, pairs, baseline, language):
    references, hypotheses = (side[:50] for side in pairs)
    raw = bert_score(references, hypotheses, f"{tiny}@2", language)
    rescaled = bert_score([*references, "a"], [*hypotheses, ""], f"{tiny}@2", language, rescale=True)
    theirs = library.score(
        hypotheses, references, model_type=tiny, num_layers=2, lang="de", rescale_with_baseline=True
    )[2].numpy()
    np.testing.assert_array_equal(rescaled.rows, [*theirs, 0])
    np.testing.assert_allclose(theirs, (raw.rows - baseline) / (1 - baseline), atol=1e-6)
    assert "|rescaled:de|" in rescaled.signature


@pytest.mark.parametrize(
    ("model", "language", "message"),
    [
        ("roberta-large", "de", "no baseline of 'roberta-large' for 'de' .there is one for en.: leave rescaling out"),
        ("nobody/has-this@3", "en", "no baseline of 'nobody/has-this' for 'en' .there is none for any language"),
        ("roberta-large", None, "needs the language"),
    ],
)
def test_rescaling_without_a_baseline_is_refused_before_a_model_is_loaded(model, language, message):
    with pytest.raises(UsageError, match=message):
        bert_score(["a"], ["a"], model, language, rescale=True)


def test_a_layer_is_needed_unless_bert_score_knows_the_best(tiny):
    assert _name_and_layer("roberta-large") == ("roberta-large", 17)
    assert _name_and_layer("roberta-large@3") == ("roberta-large", 3)
    assert _name_and_layer("./a@b/model@3") == ("./a@b/model", 3)
    for model in (tiny, f"{tiny}@", f"{tiny}@last"):
        with pytest.raises(UsageError, match=f"no best layer of '{model}': say which one to read"):
            bert_score(["a"], ["a"], model, None)
    with pytest.raises(UsageError, match=r"cannot read layer 9 .*between 0 and 3"):
        bert_score(["a"], ["a"], f"{tiny}@9", None)


def test_a_missing_model_is_said_in_a_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"nothing' for BERTScore cannot be loaded: .*Give a name on the Hugging Face"):
        bert_score(["a"], ["a"], f"{tmp_path}/nothing@2", None)


def test_unequal_lengths_are_refused(tiny):
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        bert_score(["a", "b"], ["a"], f"{tiny}@2", None)


def test_a_model_with_code_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "mine.Model"}}')
    with pytest.raises(
        UsageError, match=r"\(mine\.Model\), .*: BERTScore runs no model's own code, choose another one"
    ):
        bert_score(["a"], ["a"], f"{tmp_path}@1", None)


def test_the_nearest_reference_counts(tiny):
    both = bert_score([["cat", " ", "it"], ["", " "]], ["it", "it"], f"{tiny}@2", None)
    alone = [bert_score([text], ["it"], f"{tiny}@2", None).value for text in ("cat", "it")]
    assert both.rows.tolist() == [pytest.approx(max(alone)), 0] and "|refs:var|" in both.signature
