"""The 8B model by its numbers, and `bench decode --llada` on a shape that a CPU runs at once."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from mindrec.bench import backbone_speed as bench
from mindrec.text_backbone.import_llada import expected_shapes, llama_config

LLADA_8B = {
    "model_type": "llada", "d_model": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 32,
    "mlp_hidden_size": 12288, "vocab_size": 126464, "embedding_size": 126464, "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5, "max_sequence_length": 4096, "mask_token_id": 126336, "block_type": "llama", "rope": True,
    "weight_tying": False, "include_bias": False, "layer_norm_type": "rms", "activation_type": "silu",
    "eos_token_id": 126081, "pad_token_id": 126081,
}  # fmt: skip
PARAMETERS = 2 * 126464 * 4096 + 32 * (4 * 4096**2 + 3 * 4096 * 12288 + 2 * 4096) + 4096
"""Embedding and untied head; per layer four projections, three of SwiGLU, two gains; the last gain."""


def test_the_8b_config_is_the_published_model(tmp_path):
    config, mask = llama_config(LLADA_8B, tmp_path)
    assert mask == 126336
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS == 8_015_581_184
    assert model.lm_head.weight is not model.model.embed_tokens.weight
    assert sum(torch.Size(shape).numel() for shape in expected_shapes(config).values()) == PARAMETERS
    assert config.rope_parameters["rope_theta"] == 500_000


def test_the_benched_8b_has_the_same_stack(tmp_path):
    published, _ = llama_config(LLADA_8B, tmp_path)
    ours = LlamaConfig(num_key_value_heads=32, **bench.SHAPES["llada-8b"])
    same = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size")
    for name in (*same, "vocab_size", "rms_norm_eps", "rope_parameters", "tie_word_embeddings"):
        assert getattr(ours, name) == getattr(published, name), name
    tokenizer, titles = bench._catalog()
    denoiser = bench.random_llada("llada-8b", torch.device("meta"), tokenizer, titles)
    added = 2 * sum(tokenizer.level_sizes) * 4096
    assert sum(p.numel() for p in denoiser.parameters()) == PARAMETERS - 126464 * 4096 + added
    assert {p.dtype for p in denoiser.backbone.parameters()} == {torch.bfloat16}
    assert denoiser.backbone.stack.rotary_emb.inv_freq.dtype == torch.float32
    weights = sum(p.nbytes for p in denoiser.parameters()) / 2**30
    assert 14 < weights < 14.1  # GiB in bfloat16, without the text head


def test_the_command_for_a_gpu_runs_on_a_small_shape(monkeypatch):
    """The same code as `--llada llada-8b --device cuda`, but for what only CUDA tells."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    monkeypatch.setitem(bench.SHAPES, "small", shape | {"vocab_size": bench.TEXT_VOCABULARY})
    monkeypatch.setattr(bench, "ITEMS", 300)
    result = bench.bench_llada("small", "cpu", batches=(1, 2), repeats=1)
    for key in ("ms_per_user", "ms_per_user_no_cache", "ms_per_user_published", "ratio_vs_published"):
        assert set(result[key]) == {"1", "2"}
        assert all(value > 0 for value in result[key].values())
    assert (result["beams"], result["history"], result["positions"], result["device"]) == (10, 10, 7, "cpu")
    assert result["weights_mb"] == pytest.approx(result["parameters"] * 4 / 2**20, rel=1e-3)
    cache = 2 * 2 * result["prompt_tokens"] * 32 * 4  # layers, keys and values, positions, width, bytes
    assert result["prompt_cache_mb_per_user"] == pytest.approx(cache / 2**20, rel=0.1)


def test_peak_memory_is_counted_from_the_run_alone(monkeypatch):
    """On CUDA: the counter is set back, the run is done once more, its highest mark is told in MiB."""
    calls = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: calls.append("reset"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: calls.append("read") or 3 * 2**20)
    assert bench._peak_mb(lambda: calls.append("run")) == 3.0
    assert calls == ["reset", "run", "read"]
