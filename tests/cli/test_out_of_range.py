"""Numbers that cannot be are refused in one sentence that names the option, before anything is done."""

import shutil

import pytest
from commands import ours, refused

from mindrec.data.catalog import save_prepared
from mindrec.data.splits import cases
from mindrec.errors import MindRecError
from mindrec.system.files import read_json, write_json

TRAIN = ("train", "--data", "nowhere", "--out", "OUT")
LLADA = ("train-llada", "--data", "nowhere", "--out", "OUT")
EVALUATE = ("evaluate", "--checkpoint", "nowhere", "--data", "nowhere")
COMPARE = ("compare", "--left", "nowhere", "--right", "nowhere", "--data", "nowhere")
DIAGNOSE = ("diagnose", "--checkpoint", "nowhere", "--data", "nowhere", "--out", "OUT")
CANNOT_BE = [
    *((TRAIN, option, -1) for option in ("--seed", "--sequences", "--sid-levels", "--codebook-size", "--views")),
    *((TRAIN, option, 0) for option in ("--sequences", "--sid-levels", "--codebook-size", "--views")),
    *((TRAIN, option, 1.5) for option in ("--mask-floor", "--path-share", "--distil", "--item-dropout")),
    (TRAIN, "--seed", 2**32),
    *((LLADA, option, -1) for option in ("--seed", "--batch", "--learning-rate", "--mask-floor")),
    *((LLADA, option, 0) for option in ("--batch", "--learning-rate")),
    (LLADA, "--mask-floor", 1.5),
    *((command, option, -1) for command in (EVALUATE, COMPARE) for option in ("--seed", "--batch")),
    *((command, "--batch", 0) for command in (EVALUATE, COMPARE)),
    (DIAGNOSE, "--seed", -1),
    (("prepare", "synthetic", "--out", "OUT"), "--seed", -1),
    (("bench", "decode"), "--repeats", 0),
    (("bench", "scale"), "--repeats", 0),
    (("bench", "load"), "--people", 0),
    (("bench", "load"), "--seconds", -1),
    (("bench", "load"), "--api-people", -1),
    (("bench", "load"), "--browsers", -1),
    (("bench", "load"), "--processes", -1),
]
REFUSED = [
    (("prepare", "synthetic", "--out", "OUT"), "--items", -1, "n_items"),
    (("prepare", "synthetic", "--out", "OUT"), "--length", 0, "length"),
    (("prepare", "synthetic", "--out", "OUT"), "--predictability", 2, "predictability 2"),
    (("prepare", "synthetic", "--out", "OUT"), "--hold-out", -1, "--hold-out -1"),
    ((*EVALUATE, "--cold"), "--lift", "nan", "--lift 'nan'"),
    ((*EVALUATE, "--cold"), "--lift", "inf", "--lift 'inf'"),
]


@pytest.mark.parametrize(("command", "option", "value"), CANNOT_BE, ids=lambda part: str(part).split("'")[-2:][0])
def test_an_option_that_cannot_be_is_named(command, option, value, tmp_path):
    code, _, err = ours(*(tmp_path / "out" if word == "OUT" else word for word in command), option, value)
    assert code == 2, err
    assert option in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "option", "value", "words"), REFUSED)
def test_a_share_or_count_that_cannot_be_is_one_sentence(command, option, value, words, tmp_path, chain_data):
    save_prepared(chain_data, tmp_path / "nowhere")
    words_of = [
        tmp_path / word if word == "nowhere" else tmp_path / "out" if word == "OUT" else word for word in command
    ]
    assert words in refused(*words_of, option, value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("users", [0, -1])
def test_fewer_users_than_one_cannot_be_asked(users, chain_data, checkpoint, tmp_path):
    with pytest.raises(MindRecError, match=f"^{users} users are asked for"):
        cases(chain_data.interactions, "test", users)
    save_prepared(chain_data, tmp_path / "data")
    line = refused("evaluate", "--checkpoint", checkpoint, "--data", tmp_path / "data", "--users", users)
    assert f"{users} users" in line


@pytest.mark.parametrize("cold", [-1, 10**6])
def test_a_checkpoint_with_more_cold_items_than_items_or_fewer_than_none(cold, checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "model")
    about = read_json(tmp_path / "model" / "catalog.json", "test")
    write_json(tmp_path / "model" / "catalog.json", about | {"cold": cold})
    line = refused("recommend", "--checkpoint", tmp_path / "model", "--item", "anything")
    assert f"cold is {cold}" in line
