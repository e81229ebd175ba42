"""Other masked language models in LLaDA's place: small random ones of each architecture, through the same path."""

from dataclasses import replace

import pytest
import torch
from llada_toys import HISTORIES, RECIPE, close, some_beams, untrained, walks, without_cache
from safetensors.torch import load_file
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    BertTokenizer,
    DebertaV2Config,
    EuroBertConfig,
    ModernBertConfig,
    RobertaConfig,
)

from mindrec.decoding.config import DecodeConfig
from mindrec.errors import MindRecError
from mindrec.recommender import Recommender
from mindrec.system.files import read_json, write_json
from mindrec.text_backbone.backbone import head_matrix, load_base
from mindrec.text_backbone.import_masked_lm import import_masked_lm
from mindrec.text_backbone.prompts import make_text_tokenizer
from mindrec.text_backbone.tuning_presets import LladaTrainConfig
from mindrec.text_backbone.tuning_run import Base, make_denoiser, train_llada_checkpoint
from mindrec.training.running import Running
from mindrec.training.starting import make_tokenizer

SHAPE = {
    "vocab_size": 400, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96,
    "max_position_embeddings": 160, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 2,
}  # fmt: skip
CONFIGS = {
    "modernbert": ModernBertConfig(
        **SHAPE, cls_token_id=2, sep_token_id=2, local_attention=16, global_attn_every_n_layers=2
    ),
    "eurobert": EuroBertConfig(**SHAPE, mask_token_id=0, num_key_value_heads=2),
    "bert": BertConfig(**SHAPE),
    "roberta": RobertaConfig(**SHAPE),
    "deberta": DebertaV2Config(**SHAPE, relative_attention=True, pos_att_type=["p2c", "c2p"]),
}
SHARED = ("modernbert", "eurobert", "bert", "roberta")


def text_tokenizer(name: str):
    """Word pieces in lower case for BERT, as it has them; bytes for the others."""
    if name == "bert":
        letters = [chr(n) for n in range(33, 127)]
        vocabulary = ["[MASK]", "[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{c}" for c in letters), "item"]
        return BertTokenizer(vocab={word: n for n, word in enumerate(vocabulary)})
    made = make_text_tokenizer([f"Item {n}" for n in range(60)], 390)
    if name != "eurobert":  # which has no token to start with here
        made.add_special_tokens({"cls_token": "<start>"})
    return made


def publish(name: str, folder):
    """A folder as the hub has it, of random weights large enough that every one of them matters."""
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(CONFIGS[name])
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    model.save_pretrained(folder)
    text_tokenizer(name).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """(published, imported) folders by name, made when first asked for."""
    made = {}

    def base(name: str):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            import_masked_lm(str(publish(name, folder / "published")), folder / "base")
            made[name] = (folder / "published", folder / "base")
        return made[name]

    return base


@pytest.fixture(scope="module")
def data():
    return walks()


@pytest.mark.parametrize("name", CONFIGS)
def test_states_are_those_that_the_published_decoder_reads_padded_or_not(bases, name):
    """Each text alone through the published model itself; ours reads both in one batch, padded on the left."""
    published, base = bases(name)
    assert read_json(base / "import.json", "about")["shared"] == (name in SHARED)
    model = AutoModelForMaskedLM.from_pretrained(published, attn_implementation="eager").eval()
    backbone, rows = load_base(base, torch.float32).eval(), head_matrix(base)
    generator = torch.Generator().manual_seed(2)
    texts = [torch.randint(3, 190, (n,), generator=generator) for n in (40, 23)]
    ids = torch.stack([torch.cat([torch.ones(40 - len(t), dtype=torch.long), t]) for t in texts])
    sees = torch.tensor([[n >= 40 - len(t) for n in range(40)] for t in texts])
    with torch.no_grad():
        got = backbone.read(backbone.words(ids), sees) @ rows.T
        bias = model.get_output_embeddings().bias
        for n, text in enumerate(texts):
            want = model(input_ids=text[None]).logits[0]
            assert close(got[n, 40 - len(text) :] + (0 if bias is None else bias), want, 1e-4 * float(want.abs().max()))


@pytest.mark.parametrize("name", SHARED)
def test_cached_is_recomputed_and_batch_mates_change_nothing(data, bases, name):
    denoiser = untrained(data, bases(name)[1])
    beams = some_beams(denoiser, 3)
    cached = denoiser.token_logits(denoiser.encode(HISTORIES), beams)
    assert denoiser.cache_exact
    assert close(cached, without_cache(denoiser, HISTORIES, beams), 2e-5)
    for n, history in enumerate(HISTORIES):
        alone = denoiser.token_logits(denoiser.encode([history]), beams[n : n + 1])
        assert close(cached[n], alone[0], 2e-5)
    chosen = denoiser.select(denoiser.encode(HISTORIES), torch.tensor([2, 0]))
    assert close(denoiser.token_logits(chosen, beams[[2, 0]]), cached[[2, 0]], 2e-5)


@pytest.mark.parametrize("name", ["modernbert", "bert"])
def test_the_bidirectional_cache_is_exact_at_first(data, bases, name):
    denoiser = untrained(data, bases(name)[1], attention="bidirectional")
    beams = some_beams(denoiser, 3)
    cached, full = denoiser.token_logits(denoiser.encode(HISTORIES), beams), without_cache(denoiser, HISTORIES, beams)
    assert not denoiser.cache_exact
    assert close(cached[:, 0], full[:, 0], 2e-5)
    assert not close(cached, full, 1e-3)


def test_attention_of_another_kind_is_read_whole(data, bases):
    """DeBERTa scores distances in an attention of its own."""
    base = bases("deberta")[1]
    with pytest.raises(MindRecError, match="--attention bidirectional"):
        untrained(data, base)
    denoiser = untrained(data, base, attention="bidirectional")
    beams = some_beams(denoiser, 3)
    together = denoiser.token_logits(denoiser.encode(HISTORIES), beams)
    assert denoiser.cache_exact
    for n, history in enumerate(HISTORIES):
        alone = denoiser.token_logits(denoiser.encode([history]), beams[n : n + 1])
        assert close(together[n], alone[0], 2e-5)


def test_prompts_start_as_the_model_is_used_to(data, bases):
    tokenizer = make_tokenizer(data, RECIPE)
    for name, first in (("bert", 3), ("eurobert", None)):
        prompts = make_denoiser(data, RECIPE, tokenizer, Base(bases(name)[1])).prompts
        ids, sees = prompts(HISTORIES)
        starts = [int(row[seen][0]) for row, seen in zip(ids, sees, strict=True)]
        assert (starts == [first] * 3) == (first is not None)
        added = [i - prompts.first_new for i in ids[1].tolist() if i >= prompts.first_new]
        assert added == [*tokenizer.tokens[2]]


def trained(data, base, out, *, whole: bool, epochs: int, rate: float):
    """Train and save; the checkpoint made, and its loaded twin, as recommenders."""
    schedule = LladaTrainConfig(epochs=epochs, batch=64, learning_rate=rate, warmup_steps=5, patience=8)
    recipe = replace(RECIPE, train=schedule, decode=DecodeConfig(evidence="off", beam_size=2))
    made = train_llada_checkpoint(data, recipe, out, Base(base, whole=whole), running=Running("cpu", progress=False))
    return made, Recommender(made), Recommender.from_pretrained(out, "cpu")


@pytest.mark.slow
def test_lora_learns_64_histories_by_heart_and_recommends_the_same_once_loaded(data, bases, tmp_path):
    made, before, after = trained(data, bases("modernbert")[1], tmp_path / "lora", whole=False, epochs=40, rate=1e-2)
    assert made.training["curve"][made.training["best_epoch"]]["validation"]["hit@1"] == 1.0
    for rows in data.interactions.sequences[:4]:
        ids = [data.catalog.items[row].item_id for row in rows[:-1]]
        one, other = (r.recommend(ids) for r in (before, after))
        assert [(i.row, i.score) for i in one.items] == [(i.row, i.score) for i in other.items]
        assert one.items[0].row == rows[-1]


def test_a_base_trained_whole_is_stored_whole_but_for_its_words(data, bases, tmp_path):
    base = bases("bert")[1]
    made, before, after = trained(data, base, tmp_path / "whole", whole=True, epochs=3, rate=1e-3)
    losses = [record["loss_token"] for record in made.training["curve"]]
    assert losses[-1] < 0.98 * losses[0]
    stored = set(load_file(tmp_path / "whole" / "model.safetensors"))
    assert "backbone.stack.bert.embeddings.word_embeddings.weight" not in stored
    assert "backbone.stack.bert.encoder.layer.0.attention.self.query.weight" in stored
    assert not any("lora_" in name for name in stored)
    one, other = (r.recommend(["i1", "i2"]) for r in (before, after))
    assert [(i.row, i.score) for i in one.items] == [(i.row, i.score) for i in other.items]


def test_longer_prompts_than_there_are_positions_are_refused(data, bases):
    tokenizer = make_tokenizer(data, RECIPE)
    denoiser = make_denoiser(data, replace(RECIPE, max_history=60), tokenizer, Base(bases("roberta")[1])).eval()
    denoiser.encode([[1, 2, 3]])
    with pytest.raises(MindRecError, match="this backbone reads 158; train with fewer items"):
        denoiser.encode([list(range(20)) * 3])


def test_what_cannot_be_used_is_refused_and_nothing_is_written(bases, tmp_path):
    published, _ = bases("bert")

    def spoilt(name, **files):
        folder = tmp_path / name
        folder.mkdir()
        for file in published.iterdir():
            (folder / file.name).symlink_to(file)
        for file, change in files.items():
            path = folder / file.replace("_json", ".json")
            raw = read_json(path, "file") | change
            path.unlink()
            write_json(path, raw)
        return folder

    unknown = {"config_json": {"model_type": "mine", "auto_map": {"AutoModelForMaskedLM": "code.Model"}}}
    headless = spoilt("headless", config_json={})
    (headless / "model.safetensors").unlink()
    model = AutoModelForMaskedLM.from_pretrained(published)
    model.bert.save_pretrained(headless)
    pickled = spoilt("pickled")
    (pickled / "model.safetensors").unlink()
    torch.save(model.state_dict(), pickled / "pytorch_model.bin")
    unmasked = spoilt("unmasked", tokenizer_config_json={"mask_token": None})
    for folder, says in (
        (spoilt("unknown", **unknown), "no masked language model that transformers loads"),
        (headless, "lacks weights of a masked language model"),
        (pickled, "no masked language model that transformers loads"),
        (unmasked, "no fast tokenizer with a mask token"),
    ):
        with pytest.raises(MindRecError, match=says):
            import_masked_lm(str(folder), tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_base_is_trained_whole_in_float32_only(data, bases):
    recipe = replace(RECIPE, dtype="bfloat16")
    tokenizer = make_tokenizer(data, recipe)
    with pytest.raises(MindRecError, match="float32"):
        make_denoiser(data, recipe, tokenizer, Base(bases("bert")[1], whole=True))
