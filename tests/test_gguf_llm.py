import pytest
import torch
from gguf import GGUFWriter
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from wavllm_cli.errors import WavLLMError
from wavllm_cli.models.gguf_llm import convert_gguf

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


@pytest.fixture(scope="module")
def original():
    torch.manual_seed(0)
    tokens = len(SPECIAL) + 256 + 1
    config = LlamaConfig(
        vocab_size=tokens, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    for parameter in model.parameters():  # not `model.half()`, which would round the frequencies of positions too
        parameter.data = parameter.data.half().float()
    return model


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Queries or keys as llama.cpp keeps them: the two halves of each head's rotation alternate."""
    return weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def write(folder, model, pre: str = "smollm", left_out: str = ""):
    """The model as a GGUF file."""
    folder.mkdir()
    config = model.config
    writer = GGUFWriter(folder / "tiny.gguf", "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "ĠĠ"])
    writer.add_token_types([3] * len(SPECIAL) + [1] * 257)
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
    state = model.state_dict()
    for name, there in {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}.items():
        writer.add_tensor(f"{there}.weight", state[f"{name}.weight"].numpy())
    for n in range(config.num_hidden_layers):
        for name, there in NAMES.items():
            weight = state[f"model.layers.{n}.{name}.weight"]
            if there in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if there == "attn_q" else config.num_key_value_heads
                weight = interleaved(weight, heads)
            if f"blk.{n}.{there}" != left_out:
                writer.add_tensor(f"blk.{n}.{there}.weight", weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


@pytest.fixture(scope="module")
def converted(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llm")
    convert_gguf(write(folder / "source", original), folder)
    return folder


def test_the_converted_model_is_the_original_one(original, converted):
    model = AutoModelForCausalLM.from_pretrained(converted, dtype=torch.float32)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        assert torch.equal(model(ids).logits, original(ids).logits)
    assert model.config.eos_token_id == model.generation_config.eos_token_id == 2
    assert not hasattr(model.config, "quantization_config")


def test_digits_are_split_before_the_words_as_it_was_trained(converted):
    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]  # GPT-2's own pattern: a, Ġ, Ġ, 1, 2
    assert tokenizer.model_max_length == 64
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], return_dict=True)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<|im_start|>", "H", "i", "<|im_end|>"]


def test_a_file_that_lacks_a_tensor_is_refused(original, tmp_path):
    with pytest.raises(WavLLMError, match=r"tiny\.gguf .*model\.layers\.1\.mlp\.up_proj\.weight"):
        convert_gguf(write(tmp_path / "source", original, left_out="blk.1.ffn_up"), tmp_path)


def test_words_that_are_cut_in_an_unknown_way_are_refused(original, tmp_path):
    with pytest.raises(WavLLMError, match=r"tiny\.gguf cuts words in the way 'llama-bpe', which is unknown here"):
        convert_gguf(write(tmp_path / "source", original, pre="llama-bpe"), tmp_path)
