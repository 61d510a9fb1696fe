"""A stage of a study that several drivers work at: what is left for this one, and what is said of others."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from digitlab.result import RunResult
from digitlab.spec import RunSpec
from digitlab.store import SHORT_KEY, Store
from digitlab.studies.stages import Stage

OnNote = Callable[[str], None]

_SECONDS_BETWEEN_LOOKS = 0.5


class Sharing:
    """One driver's part of a stage.

    claims:  None where the store expects no other driver
    on_note: told in a sentence what others do
    """

    def __init__(self, store: Store, stage: Stage, on_note: OnNote) -> None:
        self._store, self._stage, self._on_note = store, stage, on_note
        self.claims = store.claims(stage.measurement)

    def free(self, is_over: Callable[[], bool]) -> Stage:
        """The stage with those missing runs that no other driver trains; waits until there are some.

        is_over: asked while it waits; then, and when others have done all, nothing is missing
        """
        if self.claims is None:
            return self._stage
        keys = [spec.key for spec in self._stage.missing]
        others = self.claims.holders(keys)
        if others:
            drivers = ", ".join(f"{driver} ({count:,})" for driver, count in Counter(others.values()).items())
            waits = "; waiting for them" if len(others) == len(keys) else ""
            self._on_note(f"of {len(keys):,} runs others train {len(others):,}: {drivers}{waits}")
        done: frozenset[str] = frozenset()
        while not (missing := self._left(others, done)) and others and not is_over():
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            before, others = others, self.claims.holders(keys)
            if others.keys() != before.keys():
                done = self._done(keys)
        return replace(self._stage, missing=missing)

    def _left(self, others: Collection[str], done: Collection[str]) -> tuple[RunSpec, ...]:
        return tuple(spec for spec in self._stage.missing if spec.key not in others and spec.key not in done)

    def keep(self, results: Sequence[RunResult]) -> None:
        """Put results into the store; of those that were there already say whether they came out the same.

        That a claim has ended meanwhile, because this process stood still or was cut off, is no error.
        """
        late = len(results) - self._store.add(results)
        if late:
            self._tell_late(results, late)
        self.release([result.key for result in results])

    def release(self, keys: Collection[str]) -> None:
        """Give back what is kept."""
        if self.claims is not None:
            self.claims.release(keys)

    def tell_others(self, kept: Collection[str], now: Stage) -> None:
        """Say how many runs came from elsewhere since the beginning of the stage.

        kept: those that this driver has put into the store
        now:  where the study stands
        """
        before = {spec.key for spec in self._stage.missing}
        theirs = before - set(kept) - {spec.key for spec in now.missing}
        if self.claims is not None and theirs and (count := len(self._done(theirs))):
            what = "measured" if self._stage.measurement else "trained"
            self._on_note(f"{count:,} of {len(before):,} runs were {what} by others")

    def _done(self, keys: Collection[str]) -> frozenset[str]:
        if self._stage.measurement:
            return frozenset(self._store.measurements(keys, self._stage.measurement))
        return self._store.known(keys)

    def _tell_late(self, results: Sequence[RunResult], late: int) -> None:
        there = self._store.get([result.key for result in results], predictions=True)
        differing = [
            result for result in results if result.key in there and there[result.key].bits != result.bits
        ]
        begin = f"{late:,} of {len(results):,} runs had been trained elsewhere when their results came"
        if not differing:
            self._on_note(f"{begin}: all are the same to the last bit")
            return
        first = differing[0]
        theirs, ours = there[first.key].provenance, first.provenance
        why = ", ".join(theirs.fingerprint.differences(ours.fingerprint)) or "nothing explains it"
        self._on_note(
            f"{begin}: {len(differing):,} of them DIFFER, the first {first.key[:SHORT_KEY]} ({why}); "
            "the store keeps what it had"
        )
