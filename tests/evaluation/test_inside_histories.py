"""Gaps and odd ones out on a chain, where both neighbours of an item leave no doubt about it."""

from mindrec.evaluation.inside_histories import evaluate_gaps, evaluate_odd
from mindrec.evaluation.protocol import Protocol


def test_both_sides_of_a_chain_place_the_hidden_item_no_worse(checkpoint, chain_data):
    result = evaluate_gaps(checkpoint, chain_data, Protocol(users=40, device="cpu"), candidates=12)
    assert result["gaps"] == 40
    assert result["both_sides"]["ndcg@10"] >= result["left_alone"]["ndcg@10"] > 0
    assert result["among_candidates"] >= result["both_sides"]["hit@10"]


def test_an_intruder_is_found_more_often_than_by_chance(checkpoint, chain_data):
    result = evaluate_odd(checkpoint, chain_data, Protocol(users=60, device="cpu"))
    assert result["histories"] == 60
    assert result["by_lift"] > 1.5 * result["chance"]
