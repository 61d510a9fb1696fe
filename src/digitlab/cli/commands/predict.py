"""`digitlab predict`: which digits are in these pictures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlab.cli.networks import note
from digitlab.cli.outputs import OutputOption, checked_output
from digitlab.cli.stores import StoreOption
from digitlab.cli.terminal import JsonOption, print_json, stderr, stdout

if TYPE_CHECKING:
    from digitlab.prediction import Prediction
    from digitlab.prediction.model import OnWork

_FAILURE = 1


def predict(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]…", help="Pictures, folders of pictures, - for standard input."),
    ] = None,
    clipboard: Annotated[bool, typer.Option("--clipboard", help="The picture in the clipboard too.")] = False,
    single: Annotated[
        bool, typer.Option("--single", help="Each picture holds one digit, in however many pieces.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|KEY",
            help="A network in a safetensors file, or a run of the store, by the first digits of its key.",
            show_default="one that this machine trains once",
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a picture of the steps for each into this folder."),
    ] = None,
    json: JsonOption = False,
    output: OutputOption = None,
    store_file: StoreOption = None,
) -> None:
    """Read the digits in photographs, drawings and scans."""
    # Loaded here: --help must not wait for it.
    from digitlab.prediction import chosen_model, predictions, sources
    from digitlab.prediction.explaining import Explanations

    checked_output(output, json=json)
    found = sources(files or [], clipboard=clipboard)
    explanations = Explanations(explain) if explain is not None else None
    with _work("training") as on_work:
        chosen = chosen_model(model, on_work, note, store_file=store_file)
    if chosen.temperature is None:
        note("this network's probabilities are not calibrated: its run held out no images that are here")
    documents, has_failed = [], False
    for prediction in predictions(found, chosen, single=single):
        has_failed |= prediction.is_error
        path = explanations.add(prediction) if explanations is not None else None
        if json:
            documents.append(prediction.to_json())
        else:
            _show(prediction, path)
    if json:
        print_json(documents, output)
    if explain is not None and chosen.reliability:
        from digitlab.report.reliability import write_reliability  # draws, which takes long to load

        note(f"how far its probabilities hold: {write_reliability(chosen.reliability, explain)}")
    if has_failed:
        raise typer.Exit(_FAILURE)


@contextmanager
def _work(title: str) -> Iterator["OnWork"]:
    """A bar for work that is told by its share."""
    from digitlab.cli.bar import progress_bar

    with progress_bar(title) as update:
        yield lambda what, share: update(share, 1, [what])


def _show(prediction: "Prediction", path: Path | None) -> None:
    """The answers, as a person reads them."""
    if prediction.is_error:
        stderr().print(f"error: {prediction.refusal}", soft_wrap=True)
        return
    out = stdout()
    if prediction.refusal:
        out.print(f"{prediction.name}: {prediction.refusal}", soft_wrap=True)
    elif len(prediction.answers) == 1:
        out.print(f"{prediction.name}: {_sentence(prediction, 0)}", soft_wrap=True)
    else:
        out.print(f"{prediction.name}: {prediction.text}", soft_wrap=True)
        for i in range(len(prediction.answers)):
            out.print(f"  {_sentence(prediction, i)}", soft_wrap=True)
    if path is not None:
        out.print(f"  steps: {path}", soft_wrap=True)


def _sentence(prediction: "Prediction", index: int) -> str:
    answer = prediction.answers[index]
    top = ", ".join(f"{name} {probability:.1%}" for name, probability in answer.top(prediction.class_names))
    return f"{answer.name or answer.doubt}  ({top})"
