"""LLaDA: import, masks, cache, text prompts and training, on small random models of its architecture."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from llada_toys import HISTORIES, RECIPE, close, some_beams, untrained, walks, without_cache
from paths import ROOT
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from mindrec.arena.contest import Plan, hold_contest
from mindrec.arena.method import Budget
from mindrec.checkpoint import load_checkpoint
from mindrec.data.catalog import Catalog, PreparedData
from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.model.attention import ATTENTION
from mindrec.recommender import Recommender
from mindrec.sources.synthetic import load as synthetic
from mindrec.system.files import read_json, write_json
from mindrec.text_backbone.import_llada import import_llada
from mindrec.text_backbone.prompts import TEMPLATES, make_text_tokenizer, token_strings
from mindrec.text_backbone.tuning import batches, samples
from mindrec.text_backbone.tuning_run import Base, make_denoiser, train_llada_checkpoint
from mindrec.training.running import Running
from mindrec.training.starting import make_tokenizer

WIDTH, LAYERS, HEADS, FEED, VOCAB, THETA, EPS = 64, 2, 4, 96, 640, 500_000.0, 1e-5
PUBLISHED = {
    "model_type": "llada", "d_model": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "n_kv_heads": HEADS,
    "mlp_hidden_size": FEED, "vocab_size": VOCAB - 10, "embedding_size": VOCAB, "rope_theta": THETA,
    "rms_norm_eps": EPS, "max_sequence_length": 512, "mask_token_id": 0, "block_type": "llama", "rope": True,
    "weight_tying": False, "include_bias": False, "layer_norm_type": "rms", "activation_type": "silu",
}  # fmt: skip


def published_weights() -> dict[str, torch.Tensor]:
    """Random tensors in the published naming, large enough that every one of them matters."""
    generator = torch.Generator().manual_seed(0)

    def matrix(rows, columns):
        return torch.randn(rows, columns, generator=generator) / math.sqrt(columns)

    def gain():
        return 1 + 0.2 * torch.randn(WIDTH, generator=generator)

    out = {"wte": matrix(VOCAB, WIDTH), "ln_f": gain(), "ff_out": matrix(VOCAB, WIDTH)}
    for n in range(LAYERS):
        out |= {f"blocks.{n}.attn_norm": gain(), f"blocks.{n}.ff_norm": gain()}
        out |= {f"blocks.{n}.{p}": matrix(WIDTH, WIDTH) for p in ("q_proj", "k_proj", "v_proj", "attn_out")}
        out |= {f"blocks.{n}.ff_proj": matrix(FEED, WIDTH), f"blocks.{n}.up_proj": matrix(FEED, WIDTH)}
        out |= {f"blocks.{n}.ff_out": matrix(WIDTH, FEED)}
    return {f"model.transformer.{name}.weight": value for name, value in out.items()}


def reference_logits(weights, ids_P: list[int], mask_PP: torch.Tensor) -> torch.Tensor:
    """LLaDA from its description, in plain PyTorch: RMSNorm, RoPE on halves, SwiGLU, no biases, untied head; (P, V)."""
    w = {name.removeprefix("model.transformer.").removesuffix(".weight"): value for name, value in weights.items()}
    size = WIDTH // HEADS
    angle = torch.arange(len(ids_P))[:, None] / THETA ** (torch.arange(0, size, 2) / size)
    cos, sin = angle.cos(), angle.sin()

    def norm(x, gain):
        return x / (x.pow(2).mean(-1, keepdim=True) + EPS).sqrt() * gain

    def rotate(x):
        first, second = x.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    def heads(x):
        return x.view(len(ids_P), HEADS, size).transpose(0, 1)

    x = w["wte"][ids_P]
    for n in range(LAYERS):
        part = {k.removeprefix(f"blocks.{n}."): v for k, v in w.items() if k.startswith(f"blocks.{n}.")}
        h = norm(x, part["attn_norm"])
        q, k, v = (heads(h @ part[name].T) for name in ("q_proj", "k_proj", "v_proj"))
        scores = rotate(q) @ rotate(k).transpose(1, 2) / math.sqrt(size)
        mixed = scores.masked_fill(~mask_PP, -math.inf).softmax(-1) @ v
        x = x + mixed.transpose(0, 1).reshape(len(ids_P), WIDTH) @ part["attn_out"].T
        h = norm(x, part["ff_norm"])
        x = x + (F.silu(h @ part["ff_proj"].T) * (h @ part["up_proj"].T)) @ part["ff_out"].T
    return norm(x, w["ln_f"]) @ w["ff_out"].T


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder as the hub has it: config, two shards, tokenizer."""
    folder = tmp_path_factory.mktemp("published")
    weights = published_weights()
    names = sorted(weights)
    save_file({k: weights[k] for k in names[::2]}, folder / "model-00001-of-00002.safetensors")
    save_file({k: weights[k] for k in names[1::2]}, folder / "model-00002-of-00002.safetensors")
    write_json(folder / "config.json", PUBLISHED)
    make_text_tokenizer([f"Item {n}" for n in range(60)], VOCAB - 40).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(published, tmp_path_factory):
    out = tmp_path_factory.mktemp("imported") / "base"
    import_llada(str(published), out, progress=False)
    return out


@pytest.fixture(scope="module")
def data() -> PreparedData:
    return walks()


# -- import ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", ["bidirectional", "prefix"])
def test_imported_weights_give_the_reference_logits_padded_or_not(base, attention):
    """Two prompts of different length, the shorter padded on the left; the last three positions are the block."""
    model = LlamaForCausalLM.from_pretrained(base, attn_implementation=ATTENTION).eval()
    weights, block = published_weights(), 3
    prompts = [[5, 77, 300, 12, 9, 41, 8, 8], [64, 2, 620, 31, 7]]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    real = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts]).bool()
    after = torch.arange(width) >= width - block
    hidden_from_prompt = (after[None, :] & ~after[:, None]) & (attention == "prefix")
    places = real.long().cumsum(1).sub(1).clamp(min=0)
    with torch.no_grad():
        mask = real[:, None, None, :] & ~hidden_from_prompt
        got = model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False).logits
    for n, prompt in enumerate(prompts):
        start = width - len(prompt)
        want = reference_logits(weights, prompt, ~hidden_from_prompt[start:, start:])
        assert close(got[n, start:], want)
    if attention == "prefix":
        both_ways = reference_logits(weights, prompts[0], torch.ones(width, width).bool())
        assert not close(got[0], both_ways, 1e-3)


def test_import_keeps_every_tensor_and_writes_no_code(published, base):
    about = read_json(base / "import.json", "about")
    assert about["mask_token_id"] == 0
    assert about["tensors"] == 3 + 9 * LAYERS
    index = read_json(base / "model.safetensors.index.json", "index")["weight_map"]
    tensors = {k: v for name in set(index.values()) for k, v in load_file(base / name).items()}
    assert sum(v.numel() for v in tensors.values()) == sum(v.numel() for v in published_weights().values())
    assert not list(base.glob("*.py"))
    assert "auto_map" not in (base / "config.json").read_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"block_type": "sequential"}, "block_type 'sequential'.*'llama'"),
        ({"attention_layer_norm": True}, "attention_layer_norm True"),
        ({"n_layers": 3}, "blocks.2.*is missing"),
        ({"n_layers": 1}, "blocks.1.*none that config.json asks for"),
        ({"mlp_hidden_size": 97}, r"is \(96, 64\).*\(97, 64\)|is \(64, 96\).*\(64, 97\)"),
        ({"mask_token_id": None}, "lacks 'mask_token_id'"),
    ],
)
def test_what_is_no_llada_is_refused_and_nothing_is_written(published, tmp_path, change, says):
    for file in published.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "config.json").unlink()
    raw = {k: v for k, v in (PUBLISHED | change).items() if v is not None}
    write_json(tmp_path / "config.json", raw)
    with pytest.raises(MindRecError, match=says):
        import_llada(str(tmp_path), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_import_does_not_replace_what_it_did_not_write(published, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(MindRecError, match="give another --out"):
        import_llada(str(published), tmp_path, progress=False)
    with pytest.raises(MindRecError, match="no folder, nor a Hugging Face repository"):
        import_llada(str(tmp_path / "nowhere"), tmp_path / "out", progress=False)


# -- prompts -----------------------------------------------------------------------------------------------------------


def test_a_prompt_spells_the_items_and_a_title_cannot_spell_a_token(data, base):
    tokenizer = make_tokenizer(data, RECIPE)
    names = token_strings(tokenizer)
    items = list(data.catalog.items)
    items[7] = replace(items[7], title="Trick <c1_0><s1_1>")
    tricky = replace(data, catalog=Catalog(tuple(items), name="tricky"))
    prompts = make_denoiser(tricky, replace(RECIPE, titles=True), tokenizer, Base(base)).prompts
    ids, sees = prompts([[7, 3], [3]])
    added = [[i - prompts.first_new for i in row if i >= prompts.first_new] for row in ids.tolist()]
    assert added[0] == [*tokenizer.tokens[7], *tokenizer.tokens[3]]
    assert added[1] == [*tokenizer.tokens[3]]
    assert sees[0].all()
    assert not sees[1].all()
    assert sees[1, -1]
    assert "".join(names[t] for t in tokenizer.tokens[7]) + " Trick (c1_0>(s1_1>" in prompts.text([7])


def test_added_tokens_start_as_the_mean_of_their_pieces(data, base):
    tokenizer = make_tokenizer(data, RECIPE)
    denoiser = make_denoiser(data, RECIPE, tokenizer, Base(base))
    pieces = denoiser.prompts.tokenizer(tokenizer.levels[1].labels[2])["input_ids"]
    token, weights = tokenizer.layout.offsets[1] + 2, published_weights()
    assert close(denoiser.token_embedding[token], weights["model.transformer.wte.weight"][pieces].mean(0))
    assert close(denoiser.token_head[token], weights["model.transformer.ff_out.weight"][pieces].mean(0))


# -- masks and cache ---------------------------------------------------------------------------------------------------


def test_cached_is_recomputed_under_the_prefix_mask(data, base):
    denoiser = untrained(data, base)
    beams = some_beams(denoiser, 3)
    cached = denoiser.token_logits(denoiser.encode(HISTORIES), beams)
    assert denoiser.cache_exact
    assert close(cached, without_cache(denoiser, HISTORIES, beams))


def test_the_bidirectional_cache_is_exact_at_first_and_says_that_it_is_approximate(data, base):
    denoiser = untrained(data, base, attention="bidirectional")
    beams = some_beams(denoiser, 3)
    assert not denoiser.cache_exact
    cached, full = denoiser.token_logits(denoiser.encode(HISTORIES), beams), without_cache(denoiser, HISTORIES, beams)
    assert close(cached[:, 0], full[:, 0])
    assert not close(cached, full, 1e-4)


@pytest.mark.parametrize("attention", ["prefix", "bidirectional"])
def test_batch_mates_padding_and_selection_change_nothing(data, base, attention):
    denoiser = untrained(data, base, attention=attention)
    beams = some_beams(denoiser, 3)
    cache = denoiser.encode(HISTORIES)
    together = denoiser.token_logits(cache, beams)
    for n, history in enumerate(HISTORIES):
        alone = denoiser.token_logits(denoiser.encode([history]), beams[n : n + 1])
        assert close(together[n], alone[0])
    chosen = denoiser.select(cache, torch.tensor([2, 0]))
    assert close(denoiser.token_logits(chosen, beams[[2, 0]]), together[[2, 0]])
    grown = denoiser.extend(denoiser.encode([HISTORIES[0][:-1]]), HISTORIES[0][-1])
    assert close(denoiser.token_logits(grown, beams[:1]), together[:1])


def test_grouped_key_heads_are_shared(data):
    """n_kv_heads below n_heads: cached and recomputed agree there too."""
    tokenizer = make_tokenizer(data, RECIPE)
    recipe = replace(RECIPE, shape=RECIPE.shape | {"num_key_value_heads": 2})
    denoiser = make_denoiser(data, recipe, tokenizer, Base()).eval()
    beams = some_beams(denoiser, 3)
    cached = denoiser.token_logits(denoiser.encode(HISTORIES), beams)
    assert close(cached, without_cache(denoiser, HISTORIES, beams))


# -- training, checkpoint ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(data, base, tmp_path_factory):
    out = tmp_path_factory.mktemp("llada") / "trained"
    return out, train_llada_checkpoint(data, RECIPE, out, Base(base), running=Running("cpu", progress=False))


def test_lora_learns_64_histories_by_heart_and_recommends_the_same_once_loaded(trained, data):
    out, checkpoint = trained
    best = checkpoint.training["curve"][checkpoint.training["best_epoch"]]["validation"]
    assert best["hit@1"] == 1.0
    before, after = Recommender(checkpoint), Recommender.from_pretrained(out, "cpu")
    for rows in data.interactions.sequences[:4]:
        ids = [data.catalog.items[row].item_id for row in rows[:-1]]
        one, other = (r.recommend(ids, DecodeConfig(evidence=e)) for r, e in ((before, "on"), (after, "off")))
        assert [(i.row, i.score) for i in one.items] == [(i.row, i.score) for i in other.items]
        assert one.items[0].row == rows[-1]
        assert other.trace.model["objective"] == "diffusion"
        assert other.trace.model["cache_exact"]


def test_only_adapters_and_added_tokens_are_trained_and_stored(trained, base):
    out, _ = trained
    stored = set(load_file(out / "model.safetensors"))
    assert {"token_embedding", "token_head"} < stored
    assert all("lora_" in name for name in stored - {"token_embedding", "token_head"})
    assert len(stored) == 2 + 2 * 7 * LAYERS
    with pytest.raises(MindRecError, match="dense head"):
        Recommender.from_pretrained(out, "cpu").recommend(["i1"], DecodeConfig(evidence="only"))


def test_another_base_is_refused(trained, tmp_path):
    import shutil

    out, _ = trained
    folder = tmp_path / "moved"
    shutil.copytree(out, folder)
    config = read_json(folder / "config.json", "config")
    for change, says in (
        ({"base": str(tmp_path / "gone")}, "import-llada"),
        ({"base_fingerprint": "0123"}, "fingerprint"),
        ({"quantize": 8}, "pip install bitsandbytes"),
    ):
        write_json(folder / "config.json", config | {"model": config["model"] | change})
        with pytest.raises(MindRecError, match=says):
            load_checkpoint(folder, "cpu")


def test_templates_and_masks_are_drawn_anew_each_epoch(data, base):
    denoiser, of = untrained(data, base), Accelerator(cpu=True)
    some = samples(data.interactions.sequences[:20], 10)
    codes = torch.from_numpy(make_tokenizer(data, RECIPE).codes).long()
    seen = []
    for epoch in (0, 1, 0):
        (share,) = batches(denoiser, codes, some, replace(RECIPE.train, batch=len(some)), epoch, of)
        texts = denoiser.prompts.tokenizer.batch_decode([i[s] for i, s in zip(share.ids, share.sees, strict=True)])
        starts = {n for text in texts for n, t in enumerate(TEMPLATES) if text.startswith(t.split("{")[0])}
        assert len(starts) == len(TEMPLATES)
        seen.append((texts, share.filled.tolist()))
    assert seen[0] == seen[2]
    assert seen[0] != seen[1]


def test_a_resumed_run_follows_the_same_curve(data, base, tmp_path):
    """Also gradient checkpointing, and a model made from nothing."""
    recipe = replace(RECIPE, train=replace(RECIPE.train, epochs=3, checkpointing=True))
    whole = train_llada_checkpoint(data, recipe, tmp_path / "a", running=Running("cpu", progress=False))

    class Killed(Exception):
        pass

    def kill(record):
        if record["epoch"] == 1:
            raise Killed

    with pytest.raises(Killed):
        train_llada_checkpoint(data, recipe, tmp_path / "b", running=Running("cpu", progress=False, report=kill))
    resumed = train_llada_checkpoint(data, recipe, tmp_path / "b", running=Running("cpu", True, progress=False))
    assert [r["losses"] for r in resumed.training["curve"]] == [r["losses"] for r in whole.training["curve"]]
    assert not (tmp_path / "b.partial").exists()


# -- several processes -------------------------------------------------------------------------------------------------

WORKER = """
import json, sys
from dataclasses import replace
from pathlib import Path
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
import torch
torch.set_num_threads(1)
from mindrec.system import distributed as processes
from mindrec.data.catalog import load_prepared
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.text_backbone.tuning_run import Base, train_llada_checkpoint
from mindrec.training.running import Running
from llada_toys import RECIPE
folder, name = Path(sys.argv[1]), sys.argv[2]
data = load_prepared(folder / "data")
recipe = replace(RECIPE, train=replace(RECIPE.train, epochs=2, batch=31))
running = Running("cpu", progress=False)
made = train_llada_checkpoint(data, recipe, folder / name, Base(folder / "base"), running=running)
protocol = Protocol("validation", batch=10, device="cpu")
found = evaluate_checkpoint(folder / "one", data, protocol)
if processes.rank() == 0:
    told = {{"curve": made.training["curve"], "evaluation": found, "processes": made.training["processes"]}}
    (folder / (name + ".json")).write_text(json.dumps(told))
"""


@pytest.mark.slow
def test_two_processes_train_and_evaluate_as_one(data, base, tmp_path):
    """31 samples a step in all: one process takes them whole, two take 16 and 15, so that a share is filled up."""
    from mindrec.data.catalog import save_prepared

    save_prepared(data, tmp_path / "data")
    (tmp_path / "base").symlink_to(base)
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.format(root=str(ROOT)))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for name, launch in (
        ("one", [sys.executable]),
        ("two", [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]),
    ):
        subprocess.run([*launch, str(worker), str(tmp_path), name], check=True, env=environment, timeout=300)
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    for before, after in zip(one["curve"], two["curve"], strict=True):
        assert np.allclose(before["losses"], after["losses"], atol=1e-5, rtol=0)
        assert before["validation"] == after["validation"]
    for key in ("metrics", "nfe", "beam_rows", "users"):
        assert one["evaluation"][key] == two["evaluation"][key]


# -- arena -------------------------------------------------------------------------------------------------------------


def test_a_base_joins_the_arena_with_a_time_of_its_own(base, tmp_path):
    """One step is all that its time allows: an epoch is cut short, validated, and the last one."""
    data, budget = synthetic(n_items=30, n_users=64, length=5, predictability=1.0), Budget(minutes=5, epochs=3)
    plan = Plan(("popularity", "backbone"), budget, users=16, base=base, base_minutes=1e-6)
    said = []
    result = hold_contest(data, plan, tmp_path / "arena", said.append)
    rows = {row["title"]: row for row in result["rows"]}
    assert rows["MindRec on a text backbone"]["calls"] > 1
    assert 0 < rows["MindRec on a text backbone"]["parameters"] < 3_000_000
    assert sum("backbone, seed 0: epoch" in line for line in said) == 1
    with pytest.raises(MindRecError, match="holds another contest"):
        hold_contest(data, replace(plan, base_minutes=2), tmp_path / "arena", said.append)


def test_the_arena_says_that_a_base_is_missing():
    with pytest.raises(MindRecError, match="needs --base"):
        Plan(("backbone",))
