"""Data in which people come back to the same items: said first, learnt, and recommended by default."""

from dataclasses import replace

import numpy as np
import pytest
from commands import ours

from mindrec.data.catalog import Interactions, Ragged, save_prepared
from mindrec.data.splits import Case, repeat_share, repeats_warning
from mindrec.evaluation.protocol import Protocol
from mindrec.evaluation.report import evaluate_checkpoint
from mindrec.model.transitions import Transitions
from mindrec.sources.synthetic import load
from mindrec.training.run import for_repeats, train_checkpoint
from mindrec.training.running import Running


@pytest.fixture(scope="module")
def replays():
    """Two hundred listeners, each of whom plays five of sixty songs, nine times in ten one of them again."""
    base, rng, sequences = load(n_items=60, n_users=2), np.random.default_rng(1), []
    for _ in range(200):
        mine = rng.choice(60, 5, replace=False)
        played = [int(song) for song in mine]
        while len(played) < 16:
            played.append(int(rng.choice(mine)) if rng.random() < 0.9 else int(rng.integers(60)))
        sequences.append(played)
    users = tuple(f"u{n}" for n in range(200))
    return replace(base, interactions=Interactions(users, Ragged.of(sequences), 60))


@pytest.fixture(scope="module")
def trained(replays, tiny_preset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("replays") / "checkpoint"
    recipe = replace(tiny_preset, train=replace(tiny_preset.train, dense_epochs=2, epochs=2))
    train_checkpoint(replays, recipe, folder, running=Running(device="cpu", progress=False))
    return folder


def test_share_and_warning_by_hand():
    again, new = Case("a", (1, 2, 3), 2), Case("b", (1, 2, 3), 4)
    assert repeat_share([again, again, new, new]) == 0.5
    assert repeats_warning([again, new], "test") is None
    line = repeats_warning([again, again, again, new], "test")
    assert "75% of 4 test targets" in line
    assert "exclude_seen=false" in line


def test_where_people_come_back_the_decode_is_not_below_its_dense_head(replays, trained):
    result = evaluate_checkpoint(trained, replays, Protocol(device="cpu"), baselines=("dense", "covisit"))
    assert result["decoder"]["exclude_seen"] is False
    assert result["metrics"]["excluded_targets"] > 150
    assert result["metrics"]["ndcg@10"] >= result["baselines"]["dense"]["ndcg@10"]
    assert result["metrics"]["ndcg@10"] >= 0.9 * result["baselines"]["covisit"]["ndcg@10"]


@pytest.mark.parametrize(("timed", "lines"), [(True, 1), (False, 2)])
def test_prepare_and_evaluate_say_so_first_and_once(timed, lines, replays, trained, tmp_path):
    """Without times there is more to say: that a copy of a row looks the same."""
    rows = [
        f"{user},{replays.catalog.items[row].item_id}" + f",{n}" * timed
        for user, played in zip(replays.interactions.user_ids, replays.interactions.sequences, strict=True)
        for n, row in enumerate(played)
    ]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id" + ",timestamp" * timed, *rows]) + "\n")
    log = ("--path", tmp_path / "log.csv", *([] if timed else ["--no-time"]))
    code, out, err = ours("prepare", "csv", *log, "--report", "--out", tmp_path / "out")
    assert code == 0, err
    assert "targets are in their own history" in out.splitlines()[0]
    assert "exclude_seen=false" in out.splitlines()[0]
    assert out.count("exclude_seen=false") == 1
    about_repeats = [line for line in (out + err).splitlines() if "own history" in line or "same user" in line]
    assert len(about_repeats) == lines
    save_prepared(replays, tmp_path / "data")
    common = ("evaluate", "--checkpoint", trained, "--data", tmp_path / "data", "--users", "40", "--device", "cpu")
    code, _, err = ours(*common, "--decoder", "exclude_seen=true")
    assert code == 0, err
    assert err.lstrip().startswith("note: ")


def test_train_says_so_before_it_trains(replays, tmp_path):
    save_prepared(replays, tmp_path / "data")
    sizes = ("--preset", "tiny", "--dense-epochs", "1", "--epochs", "1", "--sequences", "40", "--device", "cpu")
    code, out, err = ours("train", "--data", tmp_path / "data", "--out", tmp_path / "made", *sizes)
    assert code == 0, err
    assert (out + err).count("people come back to the same items here") == 1
    first = next(line for line in err.splitlines() if line.strip())
    assert "people come back" in first


def test_data_without_repeats_keep_their_preset(chain_data, tiny_preset):
    assert for_repeats(chain_data, tiny_preset) is tiny_preset


def test_transitions_vote_for_what_came_back(replays):
    """1 2 1 2 1 ...: after (1, 2) comes 1, which only votes for repeats can say."""
    alternating = [np.array([1, 2, 1, 2, 1, 2])] * 3
    assert Transitions.counted(alternating, 4).shares([(1, 2)]).sum() == 0
    votes = Transitions.counted(alternating, 4, repeats=True).shares([(1, 2)])[0]
    assert votes.argmax() == 1
    assert Transitions.counted(alternating, 4, repeats=True).grown(5).shares([(1, 2)])[0].argmax() == 1


def test_a_stored_checkpoint_still_votes_for_repeats(trained):
    from mindrec.recommender import Recommender

    opened = Recommender.from_pretrained(trained, "cpu")
    assert opened.denoiser.config.repeats
    assert opened.denoiser.transitions.repeats
