"""Study files: every fault with its line; the built-in studies as good examples; the page's own example."""

import os
import re
from pathlib import Path

import pytest

from digitlab.errors import SpecError
from digitlab.files import TEXT_LIMIT_BYTES
from digitlab.spec import RunSpec
from digitlab.studies import OBSERVATIONS, built_in_names, built_in_text, read_study
from digitlab.studies.definition import LEVEL_FIELDS, MOST_RUNS, MOST_VALUES, OPTIONS, Axis, Study
from digitlab.studies.expansion import checked, spec_of
from digitlab.studies.files import line_of, parse_study

PAGE = Path(__file__).parent.parent.parent / "docs" / "studies.md"

TEXT = """\
name = "mine"
title = "Mine"
question = "What if?"

[fixed]
hidden = [10]

# the first axis
[[axes]]
name = "batch_size"
values = [50, 100]

[[axes]]   # the second
name = "hidden"
values = [
    [100],
    [50]
]
tune = false

[scales.full]

[scales.quick]
points = 3
seeds = { tune = 2, report = 2 }

[scales.quick.axes.batch_size]
values = [50]
"""


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as refused:
        parse_study(text, "mine.toml")
    return str(refused.value)


# --- lines ---


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("name", 1),
        ("question", 3),
        ("fixed", 5),
        ("fixed.hidden", 6),
        ("fixed.hidden.0", 6),
        ("axes.0", 9),
        ("axes.0.name", 10),
        ("axes.0.values", 11),
        ("axes.0.levels", 9),
        ("axes.1", 13),
        ("axes", 9),
        ("axes.1.values.1", 15),
        ("axes.1.tune", 19),
        ("scales.quick.points", 24),
        ("scales.quick.seeds.report", 25),
        ("scales.quick.axes.batch_size", 27),
        ("scales.quick.axes.batch_size.values", 28),
        ("scales.quick.axes.hidden", 23),
        ("target", 1),
    ],
)
def test_the_line_of_a_field(field: str, line: int) -> None:
    assert line_of(TEXT, field) == line


def test_lines_of_dotted_and_quoted_keys() -> None:
    text = 'name = "x"\nseeds.tune = 3\n"fixed".hidden = [1]\n[ scales."quick" ]\npoints = 1\n'
    assert [line_of(text, field) for field in ("seeds.tune", "fixed.hidden", "scales.quick.points")] == [
        2,
        3,
        5,
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "values = [50, 100]",
            "values = [50, 100]\nlevels = [{ label = 'x' }]",
            "line 9: axes.0: {'name': 'batch_size', 'values': [50, 100], 'levels': [{'... needs exactly one of "
            "values, levels, range",
        ),
        ("tune = false", "tune = 1", "line 19: axes.1.tune: 1 is not a truth value; give true or false"),
        (
            "seeds = { tune = 2, report = 2 }",
            "seeds = { tune = 0, report = 2 }",
            "line 25: scales.quick.seeds.tune: 0 is too small; it must be at least 1",
        ),
        (
            "values = [50]\n",
            "values = 50\n",
            "line 28: scales.quick.axes.batch_size.values: 50 is not a list; give one such as [50, 100]",
        ),
        (
            "axes.batch_size]\nvalues",
            "axes.batch_sise]\nvalues",
            "line 27: scales.quick.axes.batch_sise: {'values': [50]} is for no axis of the study; did you "
            "mean batch_size?",
        ),
        (
            "[scales.quick.axes.batch_size]\nvalues = [50]",
            "[scales.quick.axes]\nbatch_size = { values = [50], tune = 1 }",
            "line 28: scales.quick.axes.batch_size.tune: 1 is not a truth value; give true or false",
        ),
        (
            "points = 3",
            "pionts = 3",
            "line 24: scales.quick.pionts: 3 is for a field that does not exist here; did you mean points?",
        ),
        ("title = ", "titel = ", "line 1: title: "),
    ],
)
def test_a_fault_is_told_with_its_line(old: str, new: str, fault: str) -> None:
    text = TEXT.replace("[fixed]\nhidden = [10]", "[fixed]\nepochs = 1")
    assert parse_study(text, "mine.toml").name == "mine"
    assert f"mine.toml, {fault}" in refusal(text.replace(old, new))


def test_several_faults_are_told_a_line_each() -> None:
    message = refusal(TEXT.replace("hidden = [10]", "hiden = 3").replace("tune = false", "extend = 3"))
    assert message.splitlines() == [
        "mine.toml, line 6: fixed.hiden: 3 is not an option; did you mean hidden?",
        "mine.toml, line 19: axes.1.extend: 3 is not a truth value; give true or false",
    ]


def test_what_is_not_toml_is_told_with_its_line() -> None:
    for broken, position in [
        (TEXT.replace("title = ", "title "), "line 2, column"),
        (TEXT + "[[axes]\n", "line 29, column"),
        (TEXT.replace('"What if?"', '"What'), "line 3, column"),
    ]:
        assert re.fullmatch(
            rf"study: 'mine.toml' is not valid TOML: .*\(at {position} \d+\); mend the file", refusal(broken)
        )
    assert "is not valid TOML" in refusal("x = " + "[" * 100_000)
    assert "is not valid TOML" in refusal("x = " + "1" * 5_000)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("epochs = 1", 'epochs = "two"', "line 6: fixed.epochs: 'two' is not a whole number; "),
        ("epochs = 1", "epochs = 1\nmomentum = 2", "line 7: fixed.momentum: 2 is too large; "),
        ("epochs = 1", 'epochs = 1\noptimiser = "sdg"', "line 7: fixed.optimiser: 'sdg' is not known; "),
        ("values = [50, 100]", "values = [50, 0]", "line 11: axes.0.values.1: 0 is too small; "),
        ("values = [50, 100]", "values = [50, 1.5]", "line 11: axes.0.values.1: 1.5 is not a whole number; "),
        (
            "[100],",
            "[100, 'wide'],",
            "line 15: axes.1.values.0.1: 'wide' is not a whole number; give one such as 100",
        ),
        (
            'name = "batch_size"\nvalues = [50, 100]',
            'name = "batch_size"\nlevels = [{ label = "a" }, { label = "b", momentum = "high" }]',
            "line 11: axes.0.levels.1.momentum: 'high' is not a number; ",
        ),
        (
            'name = "batch_size"\nvalues = [50, 100]',
            'name = "batch_size"\nlevels = [{ label = "a" }, { label = "b", momentun = 0.9 }]',
            "line 11: axes.0.levels.1.momentun: 0.9 is not an option; did you mean momentum?",
        ),
        ("points = 3", "fixed = { epochs = 0 }", "line 24: scales.quick.fixed.epochs: 0 is too small; "),
        (
            "values = [50]\n",
            "values = [50, -1]\n",
            "line 28: scales.quick.axes.batch_size.values.1: -1 is too small; ",
        ),
        (
            "[scales.quick.axes.batch_size]",
            "[scales.quick.axes.5]",
            "line 27: scales.quick.axes.5: {'values': [50]} is for no axis of the study; there are batch_size, ",
        ),
    ],
)
def test_a_fault_of_an_option_is_told_as_the_file_writes_it(old: str, new: str, fault: str) -> None:
    text = TEXT.replace("[fixed]\nhidden = [10]", "[fixed]\nepochs = 1")
    assert old in text
    assert f"mine.toml, {fault}" in refusal(text.replace(old, new))


def test_what_a_list_may_look_like_fits_its_field() -> None:
    rate = '[[axes]]\nname = "learning_rate"\nrange = { from = 0.1, to = 1 }\ntune = true\nalso = 0.01\n'
    text = TEXT.replace("[fixed]\nhidden = [10]", "[fixed]\nepochs = 1")
    assert "axes.2.also: 0.01 is not a list; give one such as [0.01]" in refusal(text + rate)
    assert "axes.1.values: 3 is not a list; give one such as [50, 100]" in refusal(
        text.replace("values = [\n    [100],\n    [50]\n]", "values = 3")
    )
    assert "axes: 3 is not a list; give one such as [[axes]]" in refusal("axes = 3\n")


# --- files and names ---


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden = [10]", f"epochs = 0x{'f' * 4_000}", "line 6: fixed.epochs: 0xfff"),
        ("values = [50, 100]", f"values = [0x{'f' * 4_000}]", "line 11: axes.0.values.0: 0xfff"),
        ("points = 3", f"points = 0x{'f' * 4_000}", "line 24: scales.quick.points: 0xfff"),
        (
            "hidden = [10]",
            f"{'a.' * 3_000}b = 1",
            "is not valid TOML: its tables and lists are more than 50 levels",
        ),
        ("hidden = [10]", f"epochs = {'[' * 60}{']' * 60}", "are more than 50 levels deep; mend the file"),
    ],
    ids=["a fixed number", "a value", "a scale", "a dotted key", "lists in lists"],
)
def test_a_hostile_file_is_refused_in_a_short_sentence(old: str, new: str, message: str) -> None:
    refused = refusal(TEXT.replace(old, new).replace("hidden = [10]", "epochs = 1"))
    assert message in refused
    assert max(map(len, refused.splitlines())) < 400


def test_marks_of_other_encodings_are_read_past(tmp_path: Path) -> None:
    text = TEXT.replace("hidden = [10]", "epochs = 1").replace("Mine", "Größe")
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "mine.toml").write_bytes(text.replace("\n", "\r\n").encode(encoding))
        assert read_study(tmp_path / "mine.toml").title == "Größe"


def test_a_pipe_a_device_and_a_file_without_end_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with (tmp_path / "large.toml").open("wb") as large:
        large.truncate(TEXT_LIMIT_BYTES + 1)
    for path, problem in [
        (tmp_path / "pipe.toml", "is not a regular file, but a pipe or a device; name a TOML file"),
        (Path("/dev/zero"), "is not a regular file, but a pipe or a device; name a TOML file"),
        (tmp_path / "large.toml", "is longer than 16 MB; name a TOML file"),
        (Path("a\0/b.toml"), "cannot be the name of a file; name a TOML file"),
    ]:
        with pytest.raises(SpecError, match=problem):
            read_study(path)


def test_a_study_of_one_scale_runs_at_it_unless_told() -> None:
    text = TEXT.replace("hidden = [10]", "epochs = 1").replace("[scales.full]\n", "")
    assert parse_study(text, "mine.toml").usual_scale == "quick"
    assert parse_study(TEXT.replace("hidden = [10]", "epochs = 1"), "mine.toml").usual_scale == "full"


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT.replace("hidden = [10]", "epochs = 1"))
    assert read_study(tmp_path / "mine.toml").name == "mine"
    (tmp_path / "latin.toml").write_bytes("name = 'é'".encode("latin-1"))
    for path, problem in [
        (
            tmp_path / "latin.toml",
            "is not a text in UTF-8 or UTF-16; name a TOML file, or make one with `digitlab study new`",
        ),
        (
            tmp_path / "none.toml",
            "cannot be read (No such file or directory); name a TOML file, or make one with `digitlab study new`",
        ),
        (
            tmp_path,
            "cannot be read (Is a directory); name a TOML file, or make one with `digitlab study new`",
        ),
    ]:
        with pytest.raises(SpecError) as refused:
            read_study(path)
        assert [fault.problem for fault in refused.value.faults] == [problem]


def test_a_name_that_is_not_built_in() -> None:
    expected = "study: 'batchlr' is neither a file nor built in; did you mean batch-lr?"
    for read in (read_study, built_in_text):
        with pytest.raises(SpecError) as refused:
            read("batchlr")
        assert str(refused.value) == expected


# --- the built-in studies ---


def test_the_built_in_studies() -> None:
    assert built_in_names() == (*OBSERVATIONS, "writers")


@pytest.mark.parametrize("name", built_in_names())
def test_a_built_in_study_is_a_good_example(name: str) -> None:
    whole = read_study(name)
    assert whole.name == name
    assert whole.analysis == name
    assert list(whole.scales) == ["full", "quick"]
    assert whole.question.endswith("?")
    assert built_in_text(name).splitlines()[0] == f'name = "{name}"'
    assert max(map(len, built_in_text(name).splitlines())) <= 130


@pytest.mark.parametrize("scale", ["full", "quick"])
@pytest.mark.parametrize("name", built_in_names())
def test_every_combination_of_a_built_in_study_can_be_run(name: str, scale: str) -> None:
    study = read_study(name).at(scale)
    for combination in checked(study):
        for rate in (
            (combination.range.values[0], combination.range.values[-1]) if combination.range else (None,)
        ):
            spec = spec_of(study, combination, rate, seed=3)
            assert isinstance(spec, RunSpec)
            assert spec.validation_size == 10_000
            assert spec.optimiser.learning_rate == (rate or combination.options["learning_rate"])
            assert len(spec.evaluation_steps) <= 50
    labels = {label for combination in checked(study) for label in combination.labels.values()}
    assert study.baseline is None or study.baseline in labels


# --- the page ---


def test_the_pages_example_is_a_study() -> None:
    (text,) = re.findall(r"```toml\n(name = .*?)```", PAGE.read_text(), re.DOTALL)
    study = parse_study(text, "momentum.toml")
    assert list(study.scales) == ["full", "quick"]
    for scale in study.scales:
        assert checked(study.at(scale))


def test_the_page_names_every_field_and_says_where_the_options_are() -> None:
    text = PAGE.read_text()
    assert "runspec.md" in text  # whose table is generated
    names = (LEVEL_FIELDS - OPTIONS) | Study.model_fields.keys() | Axis.model_fields.keys() | {"factor"}
    assert [name for name in names if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", text)] == []
    for limit in (MOST_RUNS, MOST_VALUES):
        assert f"{limit:,}" in text or str(limit) in text
