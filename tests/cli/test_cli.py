"""The command line, as its users run it: real processes, real signals, a real terminal."""

import gzip
import http.server
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import typing
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import typer

from digitlab.cli.app import app
from digitlab.cli.main import main
from digitlab.data import Dataset
from digitlab.data.catalog import FILE_NAMES
from digitlab.models.parameters import Layer
from digitlab.models.trained import load
from digitlab.result import RunResult
from tests.data.files import payloads, write_files
from tests.execution.test_workers import is_training, needs_maps

DIGITLAB = Path(sys.executable).with_name("digitlab")
SECONDS = 120
"""Far more than any machine needs."""
FAST = ("--steps", "20", "--train-size", "500", "--hidden", "10")


def run(*arguments: object, **options: typing.Any) -> "subprocess.CompletedProcess[str]":
    command = [str(DIGITLAB), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, **options)


# --- help ---


@pytest.mark.parametrize(
    ("arguments", "own"),
    [
        (["--help"], []),
        (["-h"], []),
        (["data", "--help"], ["pydantic"]),  # typer's own: it checks arguments by it
        (["train", "--help"], ["pydantic"]),
    ],
)
def test_help_waits_for_neither_torch_nor_a_validation_library(arguments: list[str], own: list[str]) -> None:
    script = (
        "import sys; sys.argv = ['digitlab', *sys.argv[1:]]\n"
        "import atexit; heavy = {'torch', 'numpy', 'pydantic', 'requests', 'safetensors', 'platformdirs'}\n"
        "atexit.register(lambda: print('HEAVY', sorted(heavy & set(sys.modules))))\n"
        "from digitlab.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0
    assert "Usage: digitlab" in done.stdout
    assert f"HEAVY {own}" in done.stdout


def test_importing_digitlab_imports_no_torch() -> None:
    script = "import sys, digitlab; print(sorted({'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def test_every_field_of_a_spec_is_an_option_with_its_group() -> None:
    text = run("train", "--help", env=os.environ | {"COLUMNS": "160"}).stdout
    from digitlab.options import Options

    for name in Options.__annotations__:
        option = "--lr" if name == "learning_rate" else f"--{name.replace('_', '-')}"
        assert re.search(rf"{option}\b", text), option
    for group in ("Data", "Network", "Optimiser", "Schedule", "Budget", "Run"):
        assert f"─ {group} ─" in text


def test_the_version_is_told() -> None:
    assert re.fullmatch(r"digitlab \d+\.\d+\.\d+\n", run("--version").stdout)
    done = subprocess.run([sys.executable, "-m", "digitlab", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("digitlab ")


# --- train and evaluate ---


def test_train_prints_a_summary_on_stdout_and_nothing_on_stderr() -> None:
    done = run("train", *FAST)
    assert (done.returncode, done.stderr) == (0, "")
    assert "784-10-10, 7,960 parameters" in done.stdout
    assert "completed after 20 steps" in done.stdout
    assert re.search(r"test accuracy +0\.\d{4}", done.stdout)
    assert re.search(r"step +training loss\n +5 +2\.\d{4}\n(.*\n){2} +20 +2\.\d{4}\n", done.stdout)
    assert "500 images of mnist, batches of 100, seed 0" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("engine", ["lockstep", "reference"])
def test_either_engine_is_used_where_it_is_chosen(engine: str) -> None:
    done = run("train", *FAST, "--json", "--engine", engine)
    assert json.loads(done.stdout)["provenance"]["engine"] == engine


def test_train_json_is_the_result() -> None:
    options = (
        *(
            "--hidden",
            "8,6",
            "--lr",
            "0.3",
            "--momentum",
            "0.5",
            "--nesterov",
            "--batch-size",
            "50",
            "--steps",
            "30",
        ),
        *("--train-size", "500", "--validation-size", "1000", "--seed", "4", "--scaling", "symmetric"),
        *(
            "--initialisation",
            "he",
            "--schedule",
            "warmup-cosine",
            "--warmup-steps",
            "5",
            "--final-fraction",
            "0.5",
        ),
        *(
            "--evaluate-at",
            "10,20",
            "--precision",
            "float64",
            "--last-batch",
            "drop",
            "--weight-decay",
            "0.01",
        ),
    )
    done = run("train", *options, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = RunResult.from_json(done.stdout)
    assert result.curve.step == (10, 20, 30)
    assert json.loads(result.spec.canonical_json) | {"data": None} == {
        "batch_size": 50,
        "budget": {"steps": 30},
        "data": None,
        "evaluate_at": [10, 20],
        "hidden": [8, 6],
        "initialisation": "he",
        "last_batch": "drop",
        "optimiser": {
            "kind": "sgd",
            "learning_rate": 0.3,
            "momentum": 0.5,
            "nesterov": True,
            "weight_decay": 0.01,
        },
        "precision": "float64",
        "scaling": "symmetric",
        "schedule": {"final_fraction": 0.5, "kind": "warmup-cosine", "warmup_steps": 5},
        "seed": 4,
        "train_size": 500,
        "validation_size": 1_000,
    }


def test_a_spec_file_is_run_and_options_come_before_it(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(
        'hidden = [9]\ntrain_size = 300\noptimiser.kind = "adam"\nbudget.steps = 3\n'
    )
    result = RunResult.from_json(run("train", "--spec", tmp_path / "spec.toml", "--json").stdout)
    two = RunResult.from_json(
        run("train", "--spec", tmp_path / "spec.toml", "--seed", 5, "--hidden", "", "--json").stdout
    )
    assert (result.spec.hidden, result.spec.seed, result.spec.optimiser.kind) == ((9,), 0, "adam")
    assert (two.spec.hidden, two.spec.seed, two.metrics.steps) == ((), 5, 3)


def test_a_saved_network_is_evaluated(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    result = RunResult.from_json(run("train", *FAST, "--save", file, "--json").stdout)
    done = run("evaluate", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Number of images tested: 10,000" in done.stdout
    assert f"Accuracy: {result.metrics.test_accuracy:.4f}" in done.stdout
    confusion = json.loads(run("evaluate", file, "--data", "mnist", "--json").stdout)
    assert confusion["accuracy"] == result.metrics.test_accuracy
    assert [sum(row) for row in confusion["counts"]] == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert confusion["class_accuracy"][3] == confusion["counts"][3][3] / 1010


def test_a_diverged_network_is_saved_and_has_no_accuracy(tmp_path: Path) -> None:
    file = tmp_path / "network.safetensors"
    options = ("--hidden", "8", "--steps", "9", "--train-size", "200", "--learning-rate", "1e19")
    assert run("train", *options, "--save", file).returncode == 0
    diverged = load(file)
    infinite = tuple(Layer(layer.weight * np.float32(np.inf), layer.bias) for layer in diverged.layers)
    for network, fault in (
        (
            diverged,
            ("its numbers overflow on ", "its weights are not finite"),
        ),  # which of them, rounding decides
        (replace(diverged, layers=infinite), "its weights are not finite, so it has no accuracy; "),
    ):
        network.save(file)
        for more in ((), ("--json",)):
            done = run("evaluate", file, *more)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.removeprefix("error: 784-8-10: ").startswith(fault)


def test_the_data_that_a_network_is_evaluated_on_are_those_it_was_trained_on(
    tmp_path: Path, empty_data_directory: Path
) -> None:
    file = tmp_path / "net.safetensors"
    run("data", "import", "mine", write_files(tmp_path / "one", payloads(train=100)))
    assert run("train", "--data", "mine", "--epochs", 1, "--save", file).returncode == 0
    assert run("evaluate", file).returncode == 0
    run("data", "import", "mine", write_files(tmp_path / "two", payloads(train=110)))
    done = run("evaluate", file)
    assert done.returncode == 1
    assert "which the network was trained on; say that it is meant all the same: --data mine" in done.stderr
    assert run("evaluate", file, "--data", "mine").returncode == 0


def test_many_classes_are_told_without_a_matrix(tmp_path: Path, empty_data_directory: Path) -> None:
    file = tmp_path / "net.safetensors"
    run("data", "import", "letters", write_files(tmp_path / "s", payloads(train=520, test=260, classes=26)))
    assert run("train", "--data", "letters", "--epochs", 1, "--save", file).returncode == 0
    done = run("evaluate", file)
    assert "The most frequent confusions" in done.stdout
    assert re.search(r"\d+  \d+ taken for \d+", done.stdout)


def test_a_run_that_diverges_is_a_result_with_advice() -> None:
    done = run("train", "--hidden", "50", "--lr", "1e19", "--steps", "200", "--initialisation", "he")
    assert done.returncode == 0
    assert "diverged after" in done.stdout
    assert "Try a smaller learning rate." in done.stderr


# --- the user's mistakes: exit code, a sentence, no stack trace ---


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["train", "--lr", "nan", "--seed", "-1", "--hidden", "100,x"],
            2,
            "error: hidden.1: 'x' is not a whole number",
        ),
        (["train", "--lr", "nan", "--seed", "-1"], 2, "error: seed: -1 is too small; it must be at least 0"),
        (["train", "--lr", "1e400"], 2, "error: optimiser.learning_rate: inf is not a finite number"),
        (["train", "--lr", "abc"], 2, "Invalid value for '--lr'"),
        (["train", "--epochs", "1", "--steps", "3"], 2, "must hold either epochs or steps"),
        (
            ["train", "--optimiser", "adam", "--momentum", "0.9"],
            2,
            "error: optimiser.momentum: 0.9 is for another kind of optimiser; choose sgd",
        ),
        (
            ["train", "--data", "minst"],
            2,
            "error: data: 'minst' is not the name of a data set; did you mean mnist?",
        ),
        (["train", "--train-size", "70000"], 2, "use at most 60000, or 50000 with a validation split"),
        (["train", "--evaluate-at", "5,3"], 2, "is not in order; give steps that rise"),
        (["train", "--spec", "nothing.toml"], 2, "error: spec: 'nothing.toml' cannot be read (No such file"),
        (["train", "--engine", "fast"], 2, "error: engine: 'fast' is not known; use lockstep or reference"),
        (
            ["exercise", "--engine", "fast"],
            2,
            "error: engine: 'fast' is not known; use lockstep or reference",
        ),
        (["train", "--device", "tpu"], 1, "error: device: 'tpu' is not known; use one of cpu"),
        (
            ["train", "--save", "no/folder/x", *FAST],
            1,
            "error: no/folder/x: cannot be written: there is no such folder; name",
        ),
        (["train", "--data", "fashion-mnist"], 1, "`digitlab data fetch fashion-mnist`"),
        (["trian"], 2, "No such command 'trian'"),
        (["exercise", "--seeds", "0"], 2, "Invalid value for '--seeds'"),
        (
            ["evaluate", "nothing"],
            1,
            "error: nothing: there is no such file; use a file that `digitlab train --save",
        ),
        (
            ["data", "show", "minst"],
            2,
            "error: data: 'minst' is not the name of a data set; did you mean mnist?",
        ),
        (["train", "--hidden", "1" * 5_000], 2, "error: hidden.0: '111"),
        (
            ["train", "--lr", "1e308"],
            2,
            "error: optimiser.learning_rate: 1e+308 is too large; it must be at most",
        ),
        (
            ["train", "--evaluate-at", "never"],
            2,
            "error: evaluate_at: 'never' is not known; use 'epoch', or a list",
        ),
        (["data", "import", "mine", "x" * 300], 1, "found no file train-images-idx3-ubyte.gz"),
        (
            ["data", "verify", "fashion-mnist"],
            1,
            "error: data set fashion-mnist: found nothing on this machine",
        ),
        (
            ["data", "import", "mnist", "nowhere", "--writers"],
            1,
            "error: nowhere: found no file qmnist-train-labels-idx2-int.gz, expected QMNIST's two label files",
        ),
        (
            ["data", "fetch", "fashion-mnist", "--writers"],
            2,
            "error: data: 'fashion-mnist' has no files that say who wrote its images; use mnist",
        ),
        (
            ["train", "--validation", "writers", "--validation-size", "1000", *FAST],
            1,
            "error: the writers of mnist: found no label files that say it on this machine",
        ),
        (
            ["study", "run", "writers", "--scale", "quick", "--store", "runs.db"],
            1,
            "run `digitlab data fetch mnist --writers`, or import files you have",
        ),
        (["data", "import", "../x", "."], 2, "error: name: '../x' is not a name for a data set"),
        (
            ["data", "import", "mine", "nowhere"],
            1,
            "error: nowhere: found no file train-images-idx3-ubyte.gz",
        ),
    ],
)
def test_mistakes_end_with_a_sentence(
    tmp_path: Path,
    empty_data_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    # In this process: each of its own would load torch again.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["digitlab", *arguments])
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.raises(SystemExit) as ended:
        main()
    for number, handler in before.items():
        signal.signal(number, handler)
    out, error = capsys.readouterr()
    assert ended.value.code == code
    assert message in re.sub(r"\s+", " ", error)
    assert "Traceback" not in error
    assert out == ""


# --- data ---


def test_data_commands_from_import_to_training(tmp_path: Path, empty_data_directory: Path) -> None:
    source = write_files(tmp_path / "source", payloads(train=200, test=50))
    done = run("data", "import", "mine", source)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(
        "mine: 200 training and 50 test images, 10 classes, intact; their digests are recorded\n"
    )
    listed = run("data", "list").stdout
    assert re.search(r"mnist +MNIST handwritten digits +bundled +60,000 +10,000 +10", listed)
    assert re.search(r"fashion-mnist .* to be fetched", listed)
    assert re.search(r"mine +mine \(imported\) +on this machine +200 +50 +10", listed)
    shown = run("data", "show", "mine").stdout
    assert str(empty_data_directory / "datasets" / "mine") in shown
    assert (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        in run("data", "show", "mnist").stdout
    )
    assert run("train", "--data", "mine", "--epochs", 1).returncode == 0
    verified = run("data", "verify")
    assert verified.returncode == 0
    assert len(re.findall("intact  ", verified.stdout)) == 8  # four bundled, four of mine
    (empty_data_directory / "datasets" / "mine" / FILE_NAMES["test_labels"]).write_bytes(b"damaged")
    verified = run("data", "verify", "mine")
    assert verified.returncode == 1
    assert verified.stdout.count("FAULT") == 1
    assert "found 7 bytes in all, expected a header of 8 bytes; import it again with" in verified.stderr


def test_who_wrote_the_images_is_imported_shown_and_verified(
    qmnist_files: Path, empty_data_directory: Path
) -> None:
    assert "`digitlab data fetch mnist --writers`" in run("data", "show", "mnist").stdout
    done = run("data", "import", "mnist", qmnist_files, "--writers")
    assert (done.returncode, done.stderr) == (0, "")
    folder = empty_data_directory / "datasets" / "mnist.writers"
    assert done.stdout.splitlines() == [
        "mnist: 539 writers of training and 297 of test images, verified by the catalogue's digests",
        str(folder),
    ]
    assert re.search(r"mnist .* bundled +60,000 +10,000 +10 +on this machine", run("data", "list").stdout)
    shown = run("data", "show", "mnist").stdout
    assert str(folder) in shown
    assert "arXiv 1905.10498" in " ".join(shown.split())
    assert json.loads(run("data", "show", "mnist", "--json").stdout)["writers_folder"] == str(folder)
    again = run("data", "fetch", "mnist", "--writers")
    assert again.stdout == f"the writers of mnist are there already and intact: {folder}\n"
    (folder / "qmnist-test-labels-idx2-int").write_bytes(b"damaged")
    verified = run("data", "verify", "mnist")
    assert verified.returncode == 1
    assert "found 7 bytes in all, expected a header of 12 bytes; run `digitlab data fetch" in verified.stderr


@pytest.fixture
def proxy() -> Iterator[str]:
    """A proxy that answers for every host: the product's own addresses, served from this machine."""
    packed = {f"{FILE_NAMES[role]}.gz": gzip.compress(payload) for role, payload in payloads().items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(packed[self.path.rpartition("/")[2]])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_fetch_goes_through_the_mirrors_and_tells_what_each_answered(
    empty_data_directory: Path, proxy: str
) -> None:
    # Behind the proxy is another data set, and no HTTPS: each mirror must be refused for its own reason.
    done = run("data", "fetch", "fashion-mnist", env=os.environ | {"http_proxy": proxy, "https_proxy": proxy})
    assert done.returncode == 1
    assert (
        "fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz: found 40 images"
        in done.stderr
    )
    assert (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-images-idx3-ubyte.gz: "
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert run("data", "fetch", "mnist", env=os.environ | {"https_proxy": proxy}).returncode == 1


# --- signals, pipes, terminals ---


@needs_maps
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_training_with_their_code(number: signal.Signals, code: int, mnist: Dataset) -> None:
    process = subprocess.Popen(
        [str(DIGITLAB), "train", "--epochs", "100000", "--evaluate-at", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not is_training(psutil.Process(process.pid)):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, error = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in error


# Says when the command line has taken its signals in hand, before it loads anything.
STARTING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from digitlab.cli import main as it; run = it._run\n"
    "def told(): print('ready', flush=True); run()\n"
    "it._run = told; it.main()"
)


def starting() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", STARTING, "train", "--epochs", "100000", "--evaluate-at", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_any_moment_of_the_start_ends_it_without_a_word(
    number: signal.Signals, code: int
) -> None:
    for delay in (0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2):  # on the way to a training
        process = starting()
        time.sleep(delay)
        process.send_signal(number)
        _, error = process.communicate(timeout=SECONDS)
        assert (process.returncode, error.replace("Aborted.\n", "").strip()) == (code, ""), delay


@pytest.mark.parametrize(
    ("first", "second", "codes"),
    [
        (signal.SIGTERM, signal.SIGTERM, {143}),
        (signal.SIGINT, signal.SIGTERM, {130, 143}),  # on a busy machine both wait, and come in any order
        (signal.SIGTERM, signal.SIGINT, {130, 143}),
    ],
)
def test_more_signals_on_the_way_out_change_nothing(
    first: signal.Signals, second: signal.Signals, codes: set[int]
) -> None:
    for delay in (0, 0.1, 0.4, 1.0):
        process = starting()
        time.sleep(delay)
        process.send_signal(first)
        while process.poll() is None:
            process.send_signal(second)
        _, error = process.communicate(timeout=SECONDS)
        assert process.returncode in codes
        assert "Traceback" not in error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_fetch_and_nothing_is_left(
    empty_data_directory: Path, number: signal.Signals, code: int
) -> None:
    # A proxy that accepts and never answers.
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment = os.environ | {"http_proxy": proxy, "https_proxy": proxy}
        process = subprocess.Popen(
            [str(DIGITLAB), "data", "fetch", "fashion-mnist"],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        server.settimeout(60)
        connection, _ = server.accept()  # now it waits for the first file
        with connection:
            assert [path.name[:15] for path in (empty_data_directory / "datasets").iterdir()] == [
                ".fashion-mnist."
            ]
            process.send_signal(number)
            _, error = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert "Traceback" not in error
    assert list((empty_data_directory / "datasets").iterdir()) == []


@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [(">&-", 0, ""), ("> /dev/full", 1, "error: stdout: No space left on device\n"), (">&- 2>&-", 0, "")],
)
def test_stdout_may_be_closed_or_full(redirection: str, code: int, message: str) -> None:
    done = subprocess.run(f"'{DIGITLAB}' data list {redirection}", shell=True, capture_output=True, text=True)  # noqa: S602
    assert (done.returncode, done.stderr) == (code, message)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stdout_that_cannot_be_written_is_told(unbuffered: str) -> None:
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path(os.devnull).open() as closed_to_writing:
        done = subprocess.run(
            [str(DIGITLAB), "data", "list"], stdout=closed_to_writing, stderr=subprocess.PIPE, env=environment
        )
    assert (done.returncode, done.stderr) == (1, b"error: stdout: Bad file descriptor\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("OSError(28, 'No space left on device')", "No space left on device"),
        ("OSError('kernel.so: file too short')", "kernel.so: file too short"),
        ("OSError()", "OSError"),
        ("OSError(28, 'No space left on device', 'a.db')", "a.db: No space left on device"),
        (
            "ImportError('x.so: cannot map')",
            "a library cannot be loaded (x.so: cannot map); see that there is memory for it, or install it again",
        ),
    ],
)
def test_an_error_of_the_system_is_told_as_what_it_is(error: str, message: str) -> None:
    script = f"""
from digitlab.cli.app import app
from digitlab.cli.main import main
@app.command()
def fail():
    raise {error}
main()
"""
    done = subprocess.run([sys.executable, "-c", script, "fail"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {message}\n")


def test_a_full_stderr_ends_it_with_its_code() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([str(DIGITLAB), "runs", "list", "--store", "/proc/x/y.db"], stderr=full)
    assert done.returncode == 1


def test_a_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    script = 'cd "$1" && rmdir "$1" && exec "$2" train --epochs 1'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(folder), str(DIGITLAB)], capture_output=True, text=True
    )
    message = "error: the current folder is no longer there; change to one that is\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_a_terminal_of_ascii_is_served(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    run("train", *FAST, "--save", file)
    done = run("evaluate", file, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "?" not in done.stdout
    assert re.search(r"^1 +(\d+|\.) +\d+ ", done.stdout, re.MULTILINE)  # a row of the matrix


def test_a_closed_stdout_ends_it_quietly() -> None:
    with subprocess.Popen(
        [str(DIGITLAB), "data", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


def _in_terminal(*arguments: str, **environment: str) -> str:
    """What a terminal gets to see."""
    parent, child = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
    process = subprocess.Popen(
        [str(DIGITLAB), *arguments],
        stdin=child,
        stdout=child,
        stderr=child,
        env=environ | {"TERM": "xterm-256color", "COLUMNS": "120"} | environment,
    )
    os.close(child)
    screen = b""
    while True:
        try:
            piece = os.read(parent, 65_536)
        except OSError:
            break
        if not piece:
            break
        screen += piece
    process.wait(60)
    os.close(parent)
    return screen.decode()


def test_a_terminal_sees_loss_accuracy_and_time_left() -> None:
    screen = _in_terminal("train", "--hidden", "50", "--epochs", "4")
    assert re.search(r"loss \d\.\d{4}", screen)
    assert re.search(r"accuracy \d\.\d{4}", screen)
    assert re.search(r"\d:\d\d:\d\d.*left", screen)
    assert "no estimate yet" in screen
    assert "-:--:--" not in screen
    assert "\x1b[3" in screen  # colours
    assert "test accuracy" in screen


def test_no_color_is_honoured() -> None:
    screen = _in_terminal("train", *FAST, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", screen)
    assert "test accuracy" in screen


# --- the exercise ---


@pytest.mark.slow
def test_the_exercise_prints_the_handouts_lines_and_compares() -> None:
    done = run("exercise", "--no-studies", "--epochs", 2)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("linearRegression", "oneHiddenLayer", "twoHiddenLayers"):
        block = (
            rf"{name} \(seed 0\)\nEpoch 0 - Training loss: \d\.\d+\nEpoch 1 - Training loss: \d\.\d+\n"
            r"Number Of Images Tested = 10000\n\nModel Accuracy = 0\.\d+\n"
        )
        assert re.search(block, done.stdout)
    assert re.search(r"89,610 params +handout +2\.0492 +0\.8995", done.stdout)
    assert re.search(r"network +loss at epoch 0 +loss at epoch 1 +both are", done.stdout)
    assert "mean of 24 other seeds, measured beforehand" in re.sub(r"\s+", " ", done.stdout)
    assert "All 6 of the handout's figures that can be compared, and ours, lie inside the spread" in re.sub(
        r"\s+", " ", done.stdout
    )


@pytest.mark.slow
def test_the_exercise_prints_the_same_with_any_number_of_workers() -> None:
    printed = [
        run("exercise", "--no-studies", "--epochs", 3, "--seeds", 2, "--workers", workers).stdout
        for workers in (1, 2)
    ]
    assert printed[0] == printed[1] != ""


@pytest.mark.slow
def test_the_exercise_with_five_seeds_compares_with_its_own_spread() -> None:
    done = run("exercise", "--no-studies", "--epochs", 1, "--seeds", 5)
    assert done.returncode == 0
    assert len(re.findall(r"seed \d of 0 to 4: accuracy 0\.\d{4}", done.stderr)) == 15
    text = re.sub(r"\s+", " ", done.stdout)
    assert "ours: mean ± standard deviation of 5 seeds" in text
    assert "mean of these 5 seeds" in text
    assert len(re.findall(r"ours +\d\.\d{4} ± 0\.\d{4}", done.stdout)) == 3


def test_output_writes_the_json_into_a_file(tmp_path: Path) -> None:
    file, confusions, weights = tmp_path / "result.json", tmp_path / "confusions.json", tmp_path / "weights"
    done = run("train", *FAST, "--save", weights, "--json", "--output", file)
    assert (done.stdout, done.returncode) == ("", 0)
    result = RunResult.from_json(file.read_bytes())
    assert run("evaluate", weights, "--json", "--output", confusions).stdout == ""
    assert json.loads(confusions.read_text())["class_names"]
    file.write_bytes(file.read_text().encode("utf-16"))  # as PowerShell's > writes it
    written = RunResult.from_json(run("train", "--spec", file, "--json").stdout)
    assert written.curve == result.curve


def test_an_output_without_json_is_refused_before_any_work(tmp_path: Path) -> None:
    done = run("train", "--output", tmp_path / "x.json")
    assert done.returncode == 2
    assert done.stderr.startswith("error: output: '")
    assert done.stderr.endswith("is for JSON; say --json too, or leave it out\n")


def test_every_command_that_prints_json_writes_it_into_a_file_too() -> None:
    def commands(name: str, command: typing.Any) -> typing.Iterator[tuple[str, typing.Any]]:
        for inner, subcommand in getattr(command, "commands", {}).items():
            yield from commands(f"{name} {inner}", subcommand)
        if not hasattr(command, "commands"):
            yield name, command

    options = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in commands("", typer.main.get_command(app))
    }
    assert len([name for name, given in options.items() if "--json" in given]) > 8
    assert [name for name, given in options.items() if "--json" in given and "--output" not in given] == []


def test_a_list_goes_into_a_file(tmp_path: Path) -> None:
    printed = run("data", "list", "--json").stdout
    assert run("data", "list", "--json", "--output", tmp_path / "data.json").stdout == ""
    assert (tmp_path / "data.json").read_text() == printed
