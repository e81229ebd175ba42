"""`bench lab`: a small class against a real app; what it tells is complete. No time is asserted."""

import pytest

from mindrec.bench.lab_crowd import HEAD, bench_lab, lab_processes, rows, sentence


@pytest.mark.slow
def test_a_class_of_three_is_told_its_places_and_leaves_no_process(checkpoint):
    result = bench_lab(checkpoint, people=1, learners=3, seconds=2)
    assert result["places"] == [0, 1, 2]
    assert result["alone"]["decodes"] > 0
    assert result["beside"]["decodes"] > 0
    assert result["seconds_until_no_lab_process"] is not None
    assert all(len(row) == len(HEAD) for row in rows(result))
    assert "told places 1 to 2, each once" in sentence(result)
    assert "a Lab process is left" in sentence(result | {"seconds_until_no_lab_process": None})
    assert "not each given once: [0, 2, 2]" in sentence(result | {"places": [0, 2, 2]})


def test_the_lab_processes_of_another_are_not_counted():
    assert lab_processes(1) == []
