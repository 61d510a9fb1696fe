"""The store in a database, by SQLAlchemy Core: a method is one transaction, or several in a row."""

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, select

from digitlab.result import RunResult
from digitlab.store import rows
from digitlab.store.claims import SqlClaims
from digitlab.store.database import Database
from digitlab.store.interface import NEWEST_FIRST, Claims, Filter, Order, RunRow, Store, Verification
from digitlab.store.schema import measurements, predictions, runs, set_aside

Row = Mapping[str, Any]

_CHUNK = 500
"""Keys in one query: databases bound the number of its parameters."""

_LATER_THAN_ANY_DIGIT = "~"

_RUNS = select(runs)
_WHOLE_RUNS = select(runs, predictions.c.predictions).join_from(
    runs, predictions, runs.c.key == predictions.c.key, isouter=True
)


class SqlStore:
    """A Store in a database; see `interface.Store` for what each method promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, results: Sequence[RunResult]) -> int:
        """Keep results; how many of them were new."""
        first = {result.key: result for result in reversed(results)}
        packed = {key: rows.packed_predictions(run) for key, run in first.items()}
        given = {key: (rows.run_row(run, packed[key]), packed[key]) for key, run in first.items()}

        def work(connection: Connection) -> int:
            _set_aside(connection, given, unreadable_too=True)
            # In one order, whoever adds: two that meet wait for each other, and never both.
            new = self._inserted(connection, runs, [given[key][0] for key in sorted(given)])
            guessed = [{"key": key, "predictions": given[key][1]} for key in new if given[key][1] is not None]
            self._insert(connection, predictions, guessed)
            return len(new)

        return self._database.write(work) if given else 0

    def known(self, keys: Iterable[str]) -> frozenset[str]:
        """Those of the keys whose runs `get` would give."""
        return frozenset(self.get(keys))

    def get(self, keys: Iterable[str], *, predictions: bool = False) -> dict[str, RunResult]:
        """Results by key."""
        distinct_keys = _distinct(keys)
        intact = self._database.read(
            partial(_whole_runs if predictions else _intact_runs, keys=distinct_keys)
        )
        found = {row["key"]: rows.read_result(row) for row in intact}
        return {key: result for key in distinct_keys if (result := found.get(key)) is not None}

    def predictions(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Predictions by key."""
        whole = self._database.read(partial(_whole_runs, keys=_distinct(keys)))
        found = {row["key"]: rows.read_predictions(row) for row in whole}
        return {key: predictions for key, predictions in found.items() if predictions is not None}

    def list(
        self, run_filter: Filter, limit: int | None = None, *, offset: int = 0, order: Order = NEWEST_FIRST
    ) -> builtins.list[RunRow]:
        """Rows of the chosen runs, the newest first or in another order."""
        # The keys are put in order first: the documents would make the sorting slow.
        chosen = select(runs.c.key).where(*_conditions(run_filter)).order_by(*_order(order))
        page = chosen.limit(limit).offset(offset).subquery()
        query = _RUNS.join(page, runs.c.key == page.c.key).order_by(*_order(order))
        return self._database.read(
            lambda connection: [rows.read_row(dict(row)) for row in connection.execute(query).mappings()]
        )

    def keys(self, run_filter: Filter, limit: int | None = None) -> builtins.list[str]:
        """Keys of the chosen runs, the newest first."""
        query = (
            select(runs.c.key).where(*_conditions(run_filter)).order_by(*_order(NEWEST_FIRST)).limit(limit)
        )
        found = self._database.read(lambda connection: connection.scalars(query).all())
        return [key for key in found if isinstance(key, str)]

    def count(self, run_filter: Filter) -> int:
        """How many runs are chosen."""
        query = select(func.count()).select_from(runs).where(*_conditions(run_filter))
        return self._database.read(lambda connection: connection.scalar(query) or 0)

    def delete(self, keys: Iterable[str]) -> int:
        """Forget all that is kept under these keys; how many runs that were."""
        unwanted = _distinct(keys)

        def work(connection: Connection) -> int:
            _delete(connection, predictions, unwanted)
            _delete(connection, measurements, unwanted)
            return _delete(connection, runs, unwanted)

        return self._database.write(work) if unwanted else 0

    def add_measurement(self, key: str, name: str, values: Mapping[str, float]) -> None:
        """Keep what was measured on the network of a key."""
        self._add_measurements({key: values}, name)

    def measurements(self, keys: Iterable[str], name: str) -> dict[str, dict[str, float]]:
        """What was measured under a name, by key."""
        distinct_keys, query = _distinct(keys), select(measurements).where(measurements.c.name == name)
        found = self._database.read(
            lambda connection: list(_found(connection, query, measurements, distinct_keys))
        )
        read = {row["key"]: rows.read_measurement(row) for row in found if rows.is_intact_measurement(row)}
        return {key: values for key, values in read.items() if values is not None}

    def measured(self) -> frozenset[tuple[str, str]]:
        """Key and name of all that was measured."""
        found = self._database.read(
            lambda connection: list(map(dict, connection.execute(select(measurements)).mappings()))
        )
        return frozenset((row["key"], row["name"]) for row in found if _is_known_measurement(row))

    def verify(self) -> Verification:
        """Read everything and verify it; set aside what was changed."""
        self._database.read(self._database.examine)
        run_keys = self._database.read(lambda connection: connection.scalars(select(runs.c.key)).all())
        measured_keys = self._database.read(
            lambda connection: connection.scalars(select(measurements.c.key)).all()
        )
        changed: set[str] = set()
        unreadable: set[str] = set()
        # Looked at in reading transactions, so that an intact store can be verified where none may write, and
        # in chunks, so that nobody waits for long.
        for some in _chunks(_distinct([*run_keys, *measured_keys])):
            if suspect := self._database.read(partial(_unreadable, keys=some)):
                changed |= self._database.write(partial(_set_aside, keys=some))
                unreadable |= suspect
        return Verification(len(run_keys), tuple(sorted(changed)), tuple(sorted(unreadable - changed)))

    def merge(self, other: Store) -> int:
        """Take over what another store holds and this one does not; how many runs were new."""
        added = 0
        for some in _chunks(other.keys(Filter())):
            missing = set(some) - self.known(some)
            added += self.add(list(other.get(missing, predictions=True).values()))
        measured = other.measured()
        for name in sorted({name for _, name in measured}):
            keys = sorted(key for key, its_name in measured if its_name == name)
            self._add_measurements(other.measurements(keys, name), name)
        return added

    def claims(self, name: str = "") -> Claims | None:
        """Claims on runs; None where no other driver is expected."""
        if not self._database.is_shared:
            return None
        done = (lambda keys: self.measurements(keys, name).keys()) if name else self.known
        return SqlClaims(self._database, name, done)

    def close(self) -> None:
        """Let go of the place."""
        self._database.close()

    def _insert(self, connection: Connection, table: Table, new: Sequence[Row]) -> None:
        if new:
            connection.execute(self._database.insert(table).on_conflict_do_nothing(), new)

    def _inserted(self, connection: Connection, table: Table, new: Sequence[Row]) -> Sequence[str]:
        """Insert rows; the keys of those that were not there, as the database says."""
        statement = self._database.insert(table).on_conflict_do_nothing().returning(table.c.key)
        return connection.scalars(statement, new).all()

    def _add_measurements(self, values: Mapping[str, Mapping[str, float]], name: str) -> None:
        new = [rows.measurement_row(key, name, its_values) for key, its_values in values.items()]

        def work(connection: Connection) -> None:
            _set_aside(connection, values, unreadable_too=True)
            self._insert(connection, measurements, new)

        if new:
            self._database.write(work)


def _distinct(keys: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(keys))


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    all_keys = list(keys)
    return (all_keys[start : start + _CHUNK] for start in range(0, len(all_keys), _CHUNK))


def _found(connection: Connection, query: Select[Any], table: Table, keys: Iterable[str]) -> Iterator[Row]:
    """Rows of the keys, as a query on the table has them."""
    for some in _chunks(keys):
        yield from map(dict, connection.execute(query.where(table.c.key.in_(some))).mappings())


def _intact_runs(connection: Connection, keys: Iterable[str]) -> list[Row]:
    return [row for row in _found(connection, _RUNS, runs, keys) if rows.is_intact(row)]


def _whole_runs(connection: Connection, keys: Iterable[str]) -> list[Row]:
    """Rows of runs with their predictions, both intact."""
    return [row for row in _found(connection, _WHOLE_RUNS, runs, keys) if rows.is_whole(row)]


def _is_known_run(row: Row) -> bool:
    return rows.is_whole(row) and rows.read_result(row) is not None


def _is_known_measurement(row: Row) -> bool:
    names = (row["key"], row["name"])
    return (
        all(isinstance(name, str) for name in names)
        and rows.is_intact_measurement(row)
        and rows.read_measurement(row) is not None
    )


def _changed(
    connection: Connection, keys: Iterable[str], *, unreadable_too: bool = False
) -> tuple[list[Row], list[Row]]:
    """Rows of runs, with their predictions, and of measurements that are not as they were written.

    unreadable_too: and those that this version cannot read
    """
    is_run = _is_known_run if unreadable_too else rows.is_whole
    is_measurement = _is_known_measurement if unreadable_too else rows.is_intact_measurement
    of_runs = _found(connection, _WHOLE_RUNS, runs, keys)
    of_measurements = _found(connection, select(measurements), measurements, keys)
    return (
        [row for row in of_runs if not is_run(row)],
        [row for row in of_measurements if not is_measurement(row)],
    )


def _unreadable(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Keys under which something was changed, cannot be read, or cannot even be found by its key."""
    of_runs, of_measurements = _changed(connection, keys, unreadable_too=True)
    there = {
        row["key"]
        for table in (runs, measurements)
        for row in _found(connection, select(table.c.key), table, keys)
    }
    return {str(row["key"]) for row in (*of_runs, *of_measurements)} | {
        str(key) for key in keys if key not in there
    }


def _set_aside(connection: Connection, keys: Iterable[str], *, unreadable_too: bool = False) -> set[str]:
    """Move what is not as it was written out of all others' sight; the keys of it."""
    of_runs, of_measurements = _changed(connection, keys, unreadable_too=unreadable_too)
    changed = [*of_runs, *of_measurements]
    if changed:
        connection.execute(set_aside.insert(), [rows.row_set_aside(row) for row in changed])
    for table in (runs, predictions):
        _delete(connection, table, [row["key"] for row in of_runs])
    for row in of_measurements:
        is_it = (measurements.c.key == row["key"]) & (measurements.c.name == row["name"])
        connection.execute(delete(measurements).where(is_it))
    return {str(row["key"]) for row in changed}


def _conditions(run_filter: Filter) -> list[ColumnElement[bool]]:
    names = ("data", "network", "outcome", "batch_size", "seed")
    values = {name: getattr(run_filter, name) for name in names}
    conditions = [runs.c[name] == value for name, value in values.items() if value is not None]
    if run_filter.key_prefix is not None:
        start = run_filter.key_prefix.lower()
        conditions += [runs.c.key >= start, runs.c.key < start + _LATER_THAN_ANY_DIGIT]
    return conditions


def _order(order: Order) -> tuple[ColumnElement[Any], ...]:
    column = runs.c[order.by]
    first = column.desc() if order.descending else column.asc()
    return (first.nulls_last() if column.nullable else first, *([] if order.by == "key" else [runs.c.key]))


def _delete(connection: Connection, table: Table, keys: Iterable[str]) -> int:
    return sum(
        connection.execute(delete(table).where(table.c.key.in_(some))).rowcount for some in _chunks(keys)
    )
