"""The exercise's networks beside the handout: ours of every seed, the figures compared, what lies outside."""

from collections.abc import Iterable
from dataclasses import dataclass

from digitlab.handout.comparison import Figure, HandoutRun, Spread, compare, handout_runs
from digitlab.result import RunResult


@dataclass(frozen=True)
class ComparedNetwork:
    """One of the exercise's networks: the handout's run, ours [seed], and the figures that both have."""

    handout: HandoutRun
    results: tuple[RunResult, ...]
    figures: tuple[Figure, ...]

    @property
    def losses(self) -> tuple[Figure, ...]:
        """The figures that are training losses, [epoch]."""
        return tuple(figure for figure in self.figures if figure.label.startswith("loss"))

    @property
    def accuracy(self) -> Figure | None:
        """The test accuracy; None where ours were not trained for as many epochs as the handout's."""
        return next((figure for figure in self.figures if figure.label == "test accuracy"), None)


@dataclass(frozen=True)
class Comparison:
    """The exercise's networks beside the handout; at least one, each with the same seeds."""

    networks: tuple[ComparedNetwork, ...]

    @property
    def results(self) -> tuple[RunResult, ...]:
        """What came of all networks and seeds."""
        return tuple(result for network in self.networks for result in network.results)

    @property
    def seeds(self) -> int:
        """How many seeds of each network were trained."""
        return len(self.networks[0].results)

    @property
    def spread(self) -> Spread:
        """The spread of the first figure: whose seeds made it, those of all figures did."""
        return self.networks[0].figures[0].spread

    @property
    def has_own_spread(self) -> bool:
        """Whether our own seeds make the spread; where they do not, ours are judged by it too."""
        return self.spread.seeds == self.seeds

    @property
    def figures(self) -> tuple[tuple[str, Figure], ...]:
        """Every figure that can be compared, with the name of its network."""
        return tuple(
            (network.handout.name, figure) for network in self.networks for figure in network.figures
        )

    @property
    def outside(self) -> tuple[tuple[str, Figure], ...]:
        """Those that lie outside the spread."""
        return tuple(named_figure for named_figure in self.figures if not named_figure[1].is_inside)

    @property
    def farthest(self) -> tuple[str, Figure]:
        """The handout's figure that lies farthest from the mean."""
        return max(self.figures, key=lambda named_figure: abs(named_figure[1].z))


def compare_networks(results: Iterable[RunResult]) -> Comparison | None:
    """The handout's networks that are among the results, in its order; None where there is none.

    results: of the handout's recipe, in any order. Only seeds that all of its networks have are compared.
    """
    by_hidden: dict[tuple[int, ...], dict[int, RunResult]] = {}
    for result in results:
        by_hidden.setdefault(result.spec.hidden, {})[result.spec.seed] = result
    found = [(run, by_hidden[run.hidden]) for run in handout_runs() if run.hidden in by_hidden]
    seeds = sorted(set.intersection(*(set(of_run) for _, of_run in found))) if found else []
    if not seeds:
        return None
    networks = []
    for run, of_run in found:
        ours = tuple(of_run[seed] for seed in seeds)
        networks.append(ComparedNetwork(run, ours, compare(run, ours)))
    return Comparison(tuple(networks))
