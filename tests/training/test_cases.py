"""Each authored case is a test of its own; a known failure must go on failing until it is taken off the list."""

from functools import cache

import pytest

from classifier import load
from tests.conftest import ROOT
from training.cases import Case, Outcome, check, known_failures, read_cases

FOLDER = ROOT / "data/cases"
CASES = read_cases(FOLDER)
KNOWN = known_failures(FOLDER)


@cache
def outcomes() -> dict[str, Outcome]:
    return {outcome.case.id: outcome for outcome in check(load(), CASES)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, request: pytest.FixtureRequest) -> None:
    if case.id in KNOWN:
        request.applymarker(
            pytest.mark.xfail(strict=True, reason="known failure; `dualuse data cases --update` if mended")
        )
    assert outcomes()[case.id].right


def test_there_are_enough_cases_of_each_kind_and_every_known_failure_is_one_of_them() -> None:
    ids = {case.id for case in CASES}
    assert len(ids) == len(CASES)
    assert sum(i.startswith("negative") for i in ids) >= 60
    assert sum(i.endswith("/inside") for i in ids) >= 60
    assert ids >= KNOWN
