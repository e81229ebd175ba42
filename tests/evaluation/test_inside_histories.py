"""Gaps and odd ones out on a chain, where both neighbours of an item leave no doubt about it."""

from mindrec.evaluation.inside_histories import evaluate_gaps, evaluate_odd
from mindrec.evaluation.protocol import Protocol


def test_both_sides_of_a_chain_place_the_hidden_item_no_worse(checkpoint, chain_data):
    found = evaluate_gaps(checkpoint, chain_data, Protocol(users=40, device="cpu"), candidates=12)
    assert found["gaps"] == 40
    assert found["both_sides"]["ndcg@10"] >= found["left_alone"]["ndcg@10"] > 0
    assert found["among_candidates"] >= found["both_sides"]["hit@10"]


def test_an_intruder_is_found_more_often_than_by_chance(checkpoint, chain_data):
    found = evaluate_odd(checkpoint, chain_data, Protocol(users=60, device="cpu"))
    assert found["histories"] == 60
    assert found["by_lift"] > 1.5 * found["chance"]
