"""Nothing but DigitlabError: some hundred seeded inputs for each parser; `make fuzz` tries many more."""

import pytest

from tests.fuzz.harness import Parser, Tally, fuzz
from tests.fuzz.parsers import parsers
from tests.lengths import length

INPUTS = length(600, 2_000)
NAMES = (
    "RunSpec, TOML", "RunSpec, JSON", "RunResult, JSON", "study, TOML", "study, values", "dataset.json", "IDX", "IDX, gzip",
    "weights", "store", "options", "option texts", "picture",
)  # fmt: skip


@pytest.fixture(scope="module")
def by_name(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Parser]:
    return {parser.name: parser for parser in parsers(tmp_path_factory.mktemp("fuzz"))}


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_takes_or_refuses_whatever_it_is_given(name: str, by_name: dict[str, Parser]) -> None:
    tally: Tally = fuzz(by_name[name], range(INPUTS))
    assert tally.failures == [], "\n".join(tally.failures)
    assert (tally.inputs, tally.refused + tally.accepted) == (INPUTS, INPUTS)
    assert tally.refused > INPUTS // 20
    assert tally.accepted > 0


def test_every_parser_has_its_test(by_name: dict[str, Parser]) -> None:
    assert tuple(by_name) == NAMES


def test_inputs_depend_on_seed_parser_and_number_alone(by_name: dict[str, Parser]) -> None:
    def inputs(count: int) -> list[object]:
        seen: list[object] = []
        fuzz(Parser("IDX", by_name["IDX"].make, seen.append), range(count))
        return seen

    assert inputs(10) == inputs(20)[:10]


def test_what_is_looked_for_is_found() -> None:
    def read(number: int) -> None:
        if number > 90:
            raise KeyError(number)

    tally = fuzz(Parser("numbers", lambda rng: rng.randrange(100), read), range(1_000))
    assert len(tally.failures) == 5
    assert "KeyError" in tally.failures[0]
