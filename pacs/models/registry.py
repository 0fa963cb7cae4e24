"""The models of an installation: added, active (one of them), shadow, retired.

Where a model's files lie is each machine's own matter; that they are the same everywhere is what
the SHA-256 of each, kept here, is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, text, update

from pacs.errors import PacsError
from pacs.models.tables import model_states, models

State = Literal["added", "active", "shadow", "retired"]


class ModelRegistryError(PacsError):
    """A model that cannot be what it is asked to be; `.model` names it."""

    def __init__(self, model: str, message: str) -> None:
        self.model = model
        super().__init__(f"model {model}: {message}")


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of a model when it is added."""

    name: str
    version: str
    built_in: bool
    files: Mapping[str, str]
    """The SHA-256 of every file, by its path in the bundle."""
    registered: bool
    registration_number: str | None
    research_statement: str | None
    signed_by: str | None
    licence: str
    training_data: str
    intended_use: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model of this installation."""

    description: Description
    state: State
    state_by: str
    state_at: datetime

    @property
    def title(self) -> str:
        """Name and version."""
        return f"{self.description.name} {self.description.version}"


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state that a model came into."""

    state: State
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class InUse:
    """The models that look at what arrives."""

    active: Model | None
    shadows: tuple[Model, ...]


def add(connection: Connection, new: Description, by: str, state: State = "added") -> bool:
    """Registers a model; False where the same files are known under that name and version already.

    Raises ModelRegistryError where other files are.
    """
    _lock(connection)
    known = _find(connection, new.name, new.version)
    if known is not None:
        if dict(known.description.files) != dict(new.files):
            raise ModelRegistryError(
                f"{new.name} {new.version}",
                "other files are registered under this name and version; give it another version",
            )
        return False
    row = connection.execute(
        insert(models).values(**asdict(new), state=state).returning(models.c.id)
    )
    _record(connection, row.scalar_one(), state, by)
    return True


def add_built_in(connection: Connection, new: Description) -> None:
    """Registers the model that came with the program, once.

    It is active where no model is, or where an earlier one that came with the program was.
    """
    if _find(connection, new.name, new.version) is not None:
        return
    _lock(connection)
    if _find(connection, new.name, new.version) is not None:
        return
    active = in_use(connection).active
    first = connection.execute(select(models.c.id).limit(1)).one_or_none() is None
    add(connection, new, "filmless")
    if first or (active is not None and active.description.built_in):
        activate(connection, new.name, new.version, "filmless")


def list_models(connection: Connection) -> list[Model]:
    """All models, by name, the latest version first."""
    rows = connection.execute(_statement().order_by(models.c.name))
    found = [_model(row) for row in rows]
    found.sort(key=lambda m: _parts(m.description.version), reverse=True)
    return sorted(found, key=lambda m: m.description.name)


def get(connection: Connection, name: str, version: str | None = None) -> Model:
    """The model of that name; of several versions the one in use, else the latest.

    Raises ModelRegistryError.
    """
    every = list_models(connection)
    named = [m for m in every if m.description.name == name]
    fitting = [m for m in named if version in (None, m.description.version)]
    if not fitting:
        there = ", ".join(m.title for m in named or every) or "none"
        raise ModelRegistryError(
            name if version is None else f"{name} {version}",
            f"not among the models of this installation (there: {there})",
        )
    order = {"active": 0, "shadow": 1}
    return min(fitting, key=lambda m: order.get(m.state, 2))


def history(connection: Connection, name: str, version: str) -> list[StateChange]:
    """Every state that the model came into, the first first."""
    rows = connection.execute(
        select(model_states.c.state, model_states.c.by, model_states.c.at)
        .join_from(model_states, models)
        .where(models.c.name == name, models.c.version == version)
        .order_by(model_states.c.id)
    )
    return [StateChange(row.state, row.by, row.at) for row in rows]


def in_use(connection: Connection) -> InUse:
    """The models that look at what arrives, as of now."""
    rows = connection.execute(
        _statement().where(models.c.state.in_(["active", "shadow"])).order_by(models.c.id)
    )
    found = [_model(row) for row in rows]
    return InUse(
        active=next((m for m in found if m.state == "active"), None),
        shadows=tuple(m for m in found if m.state == "shadow"),
    )


def activate(connection: Connection, name: str, version: str | None, by: str) -> Sequence[Model]:
    """Makes it the model whose word counts, from the next study on; retires the one before.

    Returns it as it is now, and the one that it replaced. Raises ModelRegistryError.
    """
    _lock(connection)
    model = get(connection, name, version)
    before = in_use(connection).active
    if before is not None and before.title == model.title:
        return [model]
    if before is not None:
        _set(connection, before, "retired", by)
    _set(connection, model, "active", by)
    named = [model] if before is None else [model, before]
    return [get(connection, m.description.name, m.description.version) for m in named]


def shadow(connection: Connection, name: str, version: str | None, by: str) -> Model:
    """Lets it look at the same studies as the active one, with its results kept apart.

    Raises ModelRegistryError; the active model cannot be its own shadow.
    """
    _lock(connection)
    model = get(connection, name, version)
    if model.state == "active":
        raise ModelRegistryError(model.title, "it is the active one; activate another one first")
    if model.state != "shadow":
        _set(connection, model, "shadow", by)
    return get(connection, model.description.name, model.description.version)


def retire(connection: Connection, name: str, version: str | None, by: str) -> Model:
    """Lets it look at nothing any more; what it said stays. Raises ModelRegistryError."""
    _lock(connection)
    model = get(connection, name, version)
    if model.state != "retired":
        _set(connection, model, "retired", by)
    return get(connection, model.description.name, model.description.version)


def _lock(connection: Connection) -> None:
    """Until the transaction ends nobody else changes a model's state; workers go on reading."""
    connection.execute(text("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE"))


def _statement() -> Any:
    latest = (
        select(model_states.c.by, model_states.c.at)
        .where(model_states.c.model_ref == models.c.id)
        .order_by(model_states.c.id.desc())
        .limit(1)
        .lateral("latest")
    )
    return select(models, latest.c.by, latest.c.at)


def _find(connection: Connection, name: str, version: str) -> Model | None:
    row = connection.execute(
        _statement().where(models.c.name == name, models.c.version == version)
    ).one_or_none()
    return None if row is None else _model(row)


def _model(row: Row[Any]) -> Model:
    known = row._mapping
    described = {name: known[name] for name in Description.__dataclass_fields__}
    return Model(Description(**described), known["state"], known["by"], known["at"])


def _set(connection: Connection, model: Model, state: State, by: str) -> None:
    found = connection.execute(
        update(models)
        .where(
            models.c.name == model.description.name, models.c.version == model.description.version
        )
        .values(state=state)
        .returning(models.c.id)
    )
    _record(connection, found.scalar_one(), state, by)


def _record(connection: Connection, model: int, state: State, by: str) -> None:
    connection.execute(insert(model_states).values(model_ref=model, state=state, by=by))


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
