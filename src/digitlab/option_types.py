"""The options of a RunSpec, their types and their help. Written by tools/generate.py from spec.py.

Imports next to nothing, so that the command line knows its options before the models are loaded.
"""

# ruff: noqa: E501
# fmt: off

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from pathlib import Path

    from digitlab.spec import DataSpec, Parent


class Help(NamedTuple):
    """What help says of an option: under which heading, its defaults, what it is, the words that it takes."""

    group: str
    default: str
    description: str
    words: tuple[str, ...] = ()
    is_list: bool = False


class Options(TypedDict, total=False):
    """The flat names of all that a RunSpec decides."""

    data: "str | DataSpec"
    scaling: Literal["unit", "standard", "symmetric"]
    validation_size: int
    validation: Literal["images", "writers"]
    train_size: int
    hidden: Sequence[int]
    parent: "str | Path | Parent"
    initialisation: Literal["torch", "he", "glorot"]
    optimiser: Literal["sgd", "adam", "adamw"]
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    batch_size: int
    last_batch: Literal["keep", "drop"]
    epochs: int
    steps: int
    schedule: Literal["constant", "warmup-cosine"]
    warmup_steps: int
    final_fraction: float
    evaluate_at: Literal["epoch"] | Sequence[int]
    patience: int
    seed: int
    precision: Literal["float32", "float64"]


HELP = {
    "data": Help("Data", "mnist", "Name of a data set."),
    "scaling": Help("Data", "unit", "How pixels become inputs: unit x/255; symmetric (x - 127.5)/127.5; standard (x - mean)/sd, of all training pixels of the data set.", words=("unit", "standard", "symmetric",)),
    "validation_size": Help("Data", "0", "Training images held out for validation, stratified, the same ones in every run."),
    "validation": Help("Data", "images", "What is held out: images, whoever wrote them, or whole writers, who make validation_size images or as many below it as can be (needs QMNIST's label files).", words=("images", "writers",)),
    "train_size": Help("Data", "", "Images trained on, a stratified subset drawn by the seed; by default all that are not held out."),
    "hidden": Help("Network", "none", "Units of each hidden layer; without any it is multinomial logistic regression.", is_list=True),
    "parent": Help("Network", "", "File of a trained network to go on from, as --save writes it. What is said nowhere else is as in its training: data, layers, optimiser, budget, seed."),
    "initialisation": Help("Network", "torch", "What the parameters start from: torch, the default of nn.Linear; he, normal (He et al. 2015); glorot, uniform (Glorot & Bengio 2010).", words=("torch", "he", "glorot",)),
    "optimiser": Help("Optimiser", "sgd", "How gradients become steps.", words=("sgd", "adam", "adamw",)),
    "learning_rate": Help("Optimiser", "0.01; adam, adamw: 0.001", "Learning rate, the schedule's peak."),
    "momentum": Help("Optimiser", "sgd: 0", "Momentum, 0 to below 1."),
    "nesterov": Help("Optimiser", "sgd: false", "Nesterov's form of momentum."),
    "weight_decay": Help("Optimiser", "0; adamw: 0.01", "Weight decay, of weights and biases."),
    "beta1": Help("Optimiser", "adam, adamw: 0.9", "Decay rate of the first moment."),
    "beta2": Help("Optimiser", "adam, adamw: 0.999", "Decay rate of the second moment."),
    "epsilon": Help("Optimiser", "adam, adamw: 1e-08", "Term added to the denominator."),
    "batch_size": Help("Budget", "100", "Examples a step."),
    "last_batch": Help("Budget", "keep", "An epoch's last batch when it is shorter: keep it or drop it.", words=("keep", "drop",)),
    "epochs": Help("Budget", "15", "Passes over the training images."),
    "steps": Help("Budget", "", "Steps, instead of epochs."),
    "schedule": Help("Schedule", "constant", "The learning rate over time.", words=("constant", "warmup-cosine",)),
    "warmup_steps": Help("Schedule", "warmup-cosine: 0", "Steps of linear warm-up."),
    "final_fraction": Help("Schedule", "warmup-cosine: 0", "Where the cosine ends, as a share of the peak."),
    "evaluate_at": Help("Budget", "epoch", "When the curve gets a point: at the end of each epoch, or at these steps; always at the last.", words=("epoch",), is_list=True),
    "patience": Help("Budget", "0", "Early stopping: the run ends after so many points of the curve without a new lowest validation loss, and the network of the lowest is kept; 0: it trains to the end, and the last is kept."),
    "seed": Help("Run", "0", "Of all random draws."),
    "precision": Help("Network", "float32", "Of parameters and arithmetic.", words=("float32", "float64",)),
}
