"""The search as a graph: its paths against the trace's own parents and the search's merged states."""

import math
from pathlib import Path

import networkx as nx
import pytest
from commands import ours

from mindrec.decoding.config import DecodeConfig
from mindrec.trace.records import DecodeTrace

GOLDEN = Path(__file__).parent / "golden" / "oracle_trace.json"


def test_an_answer_s_ancestors_are_the_beams_that_led_to_it():
    trace = DecodeTrace.from_json(GOLDEN.read_text(encoding="utf-8"))
    graph, last = trace.to_graph(), len(trace.steps) - 1
    assert nx.is_arborescence(graph)
    beams = [node for node, kind in graph.nodes(data="kind") if kind == "beam"]
    assert len(beams) == sum(len(step.beams) for step in trace.steps)
    assert len(graph) - len(beams) == sum(len(step.dropped) for step in trace.steps)
    for rank, beam in enumerate(trace.steps[-1].beams):
        path, number = [f"{last}.{rank}"], beam.parent
        for step in reversed(trace.steps[:-1]):
            path.insert(0, f"{step.index}.{number}")
            number = step.beams[number].parent
        assert nx.shortest_path(graph, "0.0", path[-1]) == path
        assert nx.ancestors(graph, path[-1]) == set(path[:-1])
        assert graph.nodes[path[-1]]["title"] == f"Item {beam.item}"
    for before, after in graph.edges:
        assert graph.nodes[before]["step"] + 1 == graph.nodes[after]["step"]
        assert graph.nodes[before]["score"] >= graph.nodes[after]["score"]
    for step in trace.steps[1:]:  # partition: what the trace lists of a beam's children adds up to it, or to less
        for number, beam in enumerate(trace.steps[step.index - 1].beams):
            below = sum(math.exp(graph.nodes[n]["score"]) for n in graph.successors(f"{step.index - 1}.{number}"))
            assert below <= math.exp(beam.score) * (1 + 1e-4)


def test_a_state_that_two_orders_reach_has_two_parents(recommender):
    trace = recommender.recommend(["i0", "i5"], DecodeConfig(expansion="joint", beam_size=20)).trace
    graph = trace.to_graph()
    merged = [(a, b) for a, b, kind in graph.edges(data="kind") if kind == "merged"]
    assert merged
    assert nx.is_directed_acyclic_graph(graph)
    for above, below in merged:
        assert below.split(".")[1].startswith("lost") or graph.in_degree(below) > 1
        was = {k: v for k, v in graph.nodes[above].items() if k[0].isdigit()}
        assert was.items() <= graph.nodes[below].items(), "a child keeps the codes of every parent"


def test_the_command_writes_graphml_that_networkx_reads_back(checkpoint, tmp_path, recommender):
    file = tmp_path / "search.graphml"
    code, _, err = ours(
        "recommend", "--checkpoint", str(checkpoint), "--item", "i0", "--item", "i5", "--graph", str(file)
    )
    assert code == 0, err
    graph, want = nx.read_graphml(file), recommender.recommend(["i0", "i5"]).trace.to_graph()
    assert set(graph.edges) == set(want.edges)
    for node, about in want.nodes(data=True):
        attributes = graph.nodes[node]
        assert attributes.keys() == about.keys()
        assert attributes["score"] == pytest.approx(about["score"], abs=1e-4)


def test_the_category_tree_as_a_graph_counts_the_items_below_each_node(recommender):
    catalog = recommender.catalog
    graph = catalog.tree.to_graph()
    assert nx.is_arborescence(graph)
    assert nx.dag_longest_path_length(graph) == catalog.tree.depth
    for path, items in graph.nodes(data="items"):
        assert items == sum(item.categories[: len(path)] == path for item in catalog.items)
        below = [graph.nodes[child]["items"] for child in graph.successors(path)]
        assert not below or sum(below) == items
