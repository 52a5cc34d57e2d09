"""A fixed number of mutated files through the parser; a long campaign is a command of its own."""

from __future__ import annotations

import pytest

from benchmarks.ingest.fuzz import campaign

EXECUTIONS = 400


@pytest.mark.parametrize("seed", [1, 2])
def test_every_mutant_ends_in_an_answer(seed: int) -> None:
    outcomes = campaign(EXECUTIONS, seed)
    assert outcomes.total() == EXECUTIONS
    assert outcomes["decoded"] > 0, "mutants that still work keep the campaign honest"
    assert len(outcomes) >= 5
