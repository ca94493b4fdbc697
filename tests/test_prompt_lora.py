import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from wavllm_cli.errors import UsageError
from wavllm_cli.model.prompt_lora import (
    PROJECTIONS,
    LoRALinear,
    PromptAdapter,
    add_lora,
    call,
    half_split,
    interleave,
    scale_layout,
)

RANK, ALPHA = 4, 8
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "granite")  # qwen2: biases; qwen3: head_dim of its own
SIZES = {
    "vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.2, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip


def llm_config(family: str, **fields):
    return AutoConfig.for_model(family, **(SIZES | {"head_dim": 16 if family == "qwen3" else 8} | fields))


@pytest.fixture(scope="module")
def with_lora():
    """Function: family -> (bare LLM, the same LLM with random LoRA, width of its scale), all in float64."""
    made = {}

    def make(family: str = "llama", **fields):
        if family not in made:
            torch.manual_seed(0)
            bare = AutoModelForCausalLM.from_config(llm_config(family, **fields)).eval()
            for name, parameter in bare.named_parameters():
                if name.endswith("bias"):
                    nn.init.normal_(parameter)
            model = copy.deepcopy(bare)
            layout = scale_layout(model.config)
            add_lora(model, RANK, dropout=0.0, layout=layout)
            for name, parameter in model.named_parameters():
                if "lora_" in name:
                    nn.init.normal_(parameter, std=0.3)
            made[family] = bare.double(), model.double(), layout.width
        return made[family]

    return make


@pytest.fixture(scope="module")
def ids():
    return torch.randint(3, 50, (2, 7), generator=torch.Generator().manual_seed(0))


def random_scale(rows: int, width: int) -> torch.Tensor:
    return 3 * torch.rand(rows, width, generator=torch.Generator().manual_seed(3), dtype=torch.double)


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


@torch.no_grad()
def merged(bare: nn.Module, model: nn.Module, scale: torch.Tensor) -> nn.Module:
    """The ordinary LLM that `model` is for one prompt: W' = W + diag(s) B A (F4)."""
    result = copy.deepcopy(bare)
    slices = scale_layout(bare.config).slices
    for name, layer in lora_layers(model).items():
        part = scale[slices[name.rsplit(".", 1)[1]]]
        result.get_submodule(name).weight += part[:, None] * (layer.lora_B.weight @ layer.lora_A.weight)
    return result


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_one_prompt_is_an_ordinary_merged_lora(with_lora, ids, family):
    bare, model, width = with_lora(family)
    scale = random_scale(1, width)
    logits = model(input_ids=ids[:1], lora_scale=scale).logits
    torch.testing.assert_close(logits, merged(bare, model, scale[0])(input_ids=ids[:1]).logits)
    assert (logits - bare(input_ids=ids[:1]).logits).abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_no_scale_and_scale_zero_are_the_bare_llm(with_lora, ids, family):
    bare, model, width = with_lora(family)
    expected = bare(input_ids=ids).logits
    assert torch.equal(model(input_ids=ids).logits, expected)
    assert torch.equal(model(input_ids=ids, lora_scale=torch.zeros(2, width)).logits, expected)


@torch.no_grad()
def test_b_zero_is_the_bare_llm(with_lora, ids):
    bare, _, width = with_lora()
    model = copy.deepcopy(bare)
    add_lora(model, RANK, dropout=0.5, layout=scale_layout(model.config))
    for layer in lora_layers(model).values():
        nn.init.zeros_(layer.lora_B.weight)
    model.double().train()
    assert torch.equal(model(input_ids=ids, lora_scale=random_scale(2, width)).logits, bare(input_ids=ids).logits)


@torch.no_grad()
def test_constant_scale_is_pefts_lora(with_lora, ids):
    from peft import LoraConfig, get_peft_model

    bare, model, width = with_lora()
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(PROJECTIONS))
    reference = get_peft_model(copy.deepcopy(bare), config).eval()
    tensors = {f"base_model.model.{n}": t for n, t in model.state_dict().items() if "lora_" in n}
    tensors = {n.replace(".weight", ".default.weight"): t for n, t in tensors.items()}
    assert not reference.load_state_dict(tensors, strict=False).unexpected_keys
    scale = torch.full((2, width), ALPHA / RANK)
    torch.testing.assert_close(
        model(input_ids=ids, lora_scale=scale).logits, reference(input_ids=ids).logits, rtol=1e-6, atol=1e-6
    )


@torch.no_grad()
def test_two_scales_in_a_batch_equal_each_alone(with_lora, ids):
    _, model, width = with_lora()
    scale = random_scale(2, width)
    together = model(input_ids=ids, lora_scale=scale).logits
    for i in range(2):
        alone = model(input_ids=ids[i : i + 1], lora_scale=scale[i : i + 1]).logits
        torch.testing.assert_close(together[i : i + 1], alone)
    swapped = model(input_ids=ids, lora_scale=scale.flip(0)).logits
    assert (together - swapped).abs().max() > 0.1


def test_a_step_moves_lora_and_nothing_else(with_lora, ids):
    bare, model, width = with_lora()
    model = copy.deepcopy(model)
    before = copy.deepcopy(model.state_dict())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(input_ids=ids, lora_scale=random_scale(2, width), labels=ids).loss.backward()
    optimizer.step()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == ("lora_" not in name), name
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, bare(input_ids=ids).logits)


@torch.no_grad()
def test_a_deepcopy_is_independent(with_lora, ids):
    bare, model, width = with_lora()
    scale = random_scale(2, width)
    expected = model(input_ids=ids, lora_scale=scale).logits
    twin = copy.deepcopy(model)
    assert torch.equal(twin(input_ids=ids, lora_scale=scale).logits, expected)
    for layer in lora_layers(twin).values():
        layer.lora_B.weight.zero_()
    assert torch.equal(twin(input_ids=ids, lora_scale=scale).logits, bare(input_ids=ids).logits)
    assert torch.equal(model(input_ids=ids, lora_scale=scale).logits, expected)


@torch.no_grad()
def test_no_scale_is_left_behind_not_even_by_an_error(with_lora, ids):
    bare, model, width = with_lora()
    model = copy.deepcopy(model)
    model(input_ids=ids, lora_scale=random_scale(2, width))
    assert call.scale is None
    with pytest.raises(RuntimeError):
        model(input_ids=ids, lora_scale=random_scale(3, width))
    assert call.scale is None
    assert torch.equal(model(input_ids=ids).logits, bare(input_ids=ids).logits)


@torch.no_grad()
def test_threads_that_share_a_model_keep_their_own_scales(with_lora, ids):
    """Each projection waits for the other thread once it has begun, so that every call meets another's scale."""
    _, model, width = with_lora()
    model = copy.deepcopy(model)
    scales = [random_scale(2, width), random_scale(2, width).flip(0), None]
    expected = [model(input_ids=ids, lora_scale=scale).logits for scale in scales]
    meeting = threading.Barrier(len(scales), timeout=60)

    def meet(*_) -> None:
        meeting.wait()

    for layer in lora_layers(model).values():
        layer.base_layer.register_forward_pre_hook(meet)
    with ThreadPoolExecutor(len(scales)) as pool:
        found = list(pool.map(lambda scale: model(input_ids=ids, lora_scale=scale).logits, scales))
    for logits, alone in zip(found, expected, strict=True):
        assert torch.equal(logits, alone)


@pytest.mark.slow
@torch.no_grad()
def test_the_llm_compiles_into_one_graph_that_takes_any_scale(with_lora, ids):
    _, model, width = with_lora()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    for scale in (random_scale(2, width), random_scale(2, width).flip(0)):
        torch.testing.assert_close(
            compiled(input_ids=ids, lora_scale=scale).logits, model(input_ids=ids, lora_scale=scale).logits
        )
    assert call.scale is None


def test_dropout_is_on_the_input_of_a(monkeypatch):
    layer = LoRALinear(nn.Linear(3, 2, bias=False), rank=1, dropout=0.5, channels=slice(1, 3))
    nn.init.zeros_(layer.base_layer.weight)
    nn.init.ones_(layer.lora_A.weight)
    nn.init.ones_(layer.lora_B.weight)
    monkeypatch.setattr(call, "scale", torch.tensor([[7.0, 1.0, 10.0]]))
    x = torch.ones(1, 100, 3)
    torch.manual_seed(0)
    y = layer.train()(x)[0]
    assert y[:, 0].unique().tolist() == [0.0, 2.0, 4.0, 6.0]  # 0 to 3 inputs survive, each doubled
    assert torch.equal(y[:, 1], 10 * y[:, 0])
    assert layer.eval()(x)[0, 0].tolist() == [3.0, 30.0]


@pytest.mark.parametrize(
    ("fields", "slices", "total"),
    [
        # as many key-value heads as heads: one scale for all four, 4096 for LLaMA-2-7B
        ({"hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128},
         {"q": (0, 4096), "k": (0, 4096), "v": (0, 4096), "o": (0, 4096)}, 4096),
        # grouped query
        ({}, {"q": (0, 32), "k": (32, 48), "v": (32, 48), "o": (0, 32)}, 48),
        # heads wider than hidden_size / heads: three widths
        ({"head_dim": 24}, {"q": (0, 96), "k": (96, 144), "v": (96, 144), "o": (144, 176)}, 176),
    ],
)  # fmt: skip
def test_scale_layout(fields, slices, total):
    layout = scale_layout(llm_config("llama", **fields))
    assert layout.slices == {f"{name}_proj": slice(*ends) for name, ends in slices.items()}
    assert layout.emitted == layout.width == total
    scale = torch.rand(2, total)
    assert torch.equal(layout.expand(scale), scale)


def test_half_split_is_the_order_of_transformers():
    """Rotating pairs (2i, 2i + 1) and then reordering is reordering and then rotating pairs (i, i + half)."""
    from transformers.models.llama.modeling_llama import rotate_half

    x = torch.randn(5, 2 * 6, dtype=torch.double)
    angles = torch.arange(1.0, 4.0, dtype=torch.double)
    pairs = torch.view_as_complex(x.view(5, 2, 3, 2)) * torch.polar(torch.ones_like(angles), angles)
    interleaved = torch.view_as_real(pairs).flatten(1)
    y = half_split(x, heads=2).view(5, 2, 6)
    rotated = y * angles.repeat(2).cos() + rotate_half(y) * angles.repeat(2).sin()
    torch.testing.assert_close(half_split(interleaved, heads=2), rotated.flatten(1))
    assert torch.equal(interleave(half_split(x, heads=2), heads=2), x)


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_interleaved_layout_reorders_q_and_k_only(kv_heads):
    config = llm_config("llama", num_key_value_heads=kv_heads)
    plain, layout = scale_layout(config), scale_layout(config, interleaved=True)
    assert layout.emitted == plain.width < layout.width
    scale = torch.rand(2, layout.emitted)
    expanded = layout.expand(scale)
    assert expanded.shape == (2, layout.width)
    for name, heads in (("q_proj", 4), ("k_proj", kv_heads)):
        assert torch.equal(expanded[:, layout.slices[name]], half_split(scale[:, plain.slices[name]], heads))
    for name in ("v_proj", "o_proj"):
        assert torch.equal(expanded[:, layout.slices[name]], scale[:, plain.slices[name]])


def test_fused_projections_are_refused_with_a_sentence():
    model = AutoModelForCausalLM.from_config(llm_config("phi3"))
    with pytest.raises(UsageError, match=r"^Phi3ForCausalLM has 0 attention modules .* needs one in each layer"):
        add_lora(model, RANK, dropout=0.0, layout=scale_layout(model.config))


@pytest.mark.parametrize("family", ["stablelm", "nemotron"])
def test_an_llm_that_would_lose_the_scale_is_refused(family):
    model = AutoModelForCausalLM.from_config(llm_config(family))
    with pytest.raises(UsageError, match="does not pass keywords on to its attention"):
        add_lora(model, rank=2, dropout=0.0, layout=scale_layout(model.config))


# --- prompt adapter ---


@pytest.fixture
def adapter():
    torch.manual_seed(0)
    adapter = PromptAdapter(input_width=6, inner=5, output_width=40, maximum=3.0).double()
    nn.init.normal_(adapter.up.weight, std=10.0)
    return adapter


@pytest.fixture
def states():
    return torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.double)


def test_prompt_adapter_formula_token_by_token(adapter, states):
    weights, values = [], []
    for state in states[0]:
        hidden = nn.functional.gelu(adapter.down.weight @ state + adapter.down.bias)
        z = adapter.up.weight @ hidden + adapter.up.bias
        weights.append((adapter.attention.weight[0] @ z + adapter.attention.bias[0]).exp())
        values.append(z)
    pooled = sum(w * z for w, z in zip(weights, values, strict=True)) / sum(weights)
    expected = torch.tensor([min(max(x, 0.0), 3.0) for x in pooled.tolist()], dtype=torch.double)
    scale = adapter(states[:1], torch.ones(1, 4))[0]
    torch.testing.assert_close(scale, expected)
    assert {0.0, 3.0} < set(scale.tolist())  # both ends of the clamp are met, and values between them


def test_prompt_adapter_ignores_padding(adapter, states):
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    together = adapter(states, mask)
    torch.testing.assert_close(together[:1], adapter(states[:1, :2], torch.ones(1, 2)))
    torch.testing.assert_close(together[1:], adapter(states[1:], torch.ones(1, 4)))


def test_every_weight_of_the_prompt_adapter_learns(adapter, states):
    (adapter(states, torch.ones(2, 4)) * torch.arange(40)).sum().backward()
    for name, parameter in adapter.named_parameters():
        # a softmax does not see a constant, so its bias has no gradient by nature
        assert (parameter.grad.abs().max() > 1e-9) == (name != "attention.bias"), name
