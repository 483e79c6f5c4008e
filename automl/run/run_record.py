"""`run.yaml`: what a run says of itself. Read and written here alone.

Imports no torch: who looks at a leaderboard need not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from automl.errors import RunError, SettingsError
from automl.racing.ladder import Ladder, parse_ladder
from automl.racing.objective import Objective
from automl.settings import Settings
from automl.spaces.space import Space
from automl.training.boosting import Boosting


class _Facts(BaseModel):
    """Immutable facts of a run; names that are not known here, of a later version, are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class PluginFile(_Facts):
    """A plugin that came from a file: its name, the file's whole path, the SHA-256 of its text."""

    name: str
    file: str
    sha256: str = ""


class DataFacts(_Facts):
    """What the data are, as `automl.data.understood.summarise` says it.

    fingerprint: of the values. kept: data from Python are kept in the run's folder under this path; "": nowhere, they
    were too large; None: they have a name.
    """

    name: str = ""
    kind: str = ""
    task: str = ""
    samples: int = 0
    test_samples: int = 0
    input_shape: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    understood: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    kept: str | None = None


class Choice(_Facts):
    """How the winner was chosen: in `words`, by its first `folds` folds; `rescoring`: who was left out meanwhile."""

    words: str
    folds: int
    rescoring: str = ""


class FinalRecord(_Facts):
    """The final model: its folder, how it was made of which trial, and what its one test said.

    fold_scores: the trial's on each fold, those of the cross-validation first.
    """

    model: str
    trial: int
    architecture: str = ""
    kind: str = "refit"
    epochs: int
    cut_short: bool
    stand_in: bool = False
    words: str = ""
    fold_scores: tuple[float, ...] = ()
    test: dict[str, float] = {}
    test_details: dict[str, Any] = {}
    guessing: dict[str, Any] = {}
    choice: Choice | None = None


class RunRecord(_Facts):
    """A run: its settings, the fingerprints of data and space, the machine and versions, and what it came to.

    id: tells a worker on another machine whether a folder is this run's. objective_name, metric: what is optimised, and
    what is shown beside it. guessing: the scores of guessing on the same folds, baseline those of gradient boosting.
    seconds: of all its sessions; None until the first has ended.
    """

    id: str = ""
    settings: Settings
    study: str = ""
    objective_name: str = Field("log_loss", alias="objective")
    metric: str = "accuracy"
    data: DataFacts
    guessing: dict[str, float | None] = {}
    baseline: Boosting | None = None
    ladder: tuple[str, ...] = ()
    device: str = ""
    precision: str = ""
    versions: dict[str, str] = {}
    plugins: tuple[PluginFile, ...] = ()
    space_fingerprint: str = ""
    space: dict[str, Any]
    final: FinalRecord | None = None
    seconds: float | None = None

    @property
    def objective(self) -> Objective:
        """What is optimised."""
        return Objective.named(self.objective_name, self.metric)

    @property
    def rungs(self) -> Ladder:
        """The ladder. Raises `RunError` for one that is none."""
        try:
            return parse_ladder(",".join(self.ladder), self.settings.epochs, self.settings.folds)
        except SettingsError as error:
            raise RunError(f"run.yaml: {error}") from error

    def read_space(self, place: str = "run.yaml") -> Space:
        """The merged search space, written at `place`. Raises `SpaceError`."""
        return Space.from_json(self.space, f"{place}: space")

    def but(self, **changes: Any) -> RunRecord:
        """The record with other values of these fields."""
        return self.model_copy(update=changes)

    def to_mapping(self) -> dict[str, Any]:
        """As plain values, without what is not known yet."""
        values = self.model_dump(mode="json", by_alias=True)
        return {name: value for name, value in values.items() if value is not None}

    def to_yaml(self) -> str:
        """The text of `run.yaml`."""
        return yaml.dump(self.to_mapping(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)

    @classmethod
    def from_yaml(cls, text: str, place: str) -> RunRecord:
        """The record that was written at `place`. Raises `RunError`."""
        try:
            _check_events(text)
            values = yaml.load(text, _Loader)
        except (yaml.YAMLError, ValueError) as error:
            raise RunError(f"{place}: cannot be read ({error})") from error
        return cls.from_mapping(values, place)

    @classmethod
    def from_mapping(cls, values: object, place: str) -> RunRecord:
        """The record of these plain values, found at `place`. Raises `RunError`, naming each field that is none."""
        if not isinstance(values, Mapping) or not {"settings", "space", "data"} <= values.keys():
            raise RunError(f"{place}: not the record of a run; 'settings', 'space' and 'data' must be there")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
            raise RunError(f"{place}: not the record of a run; {'; '.join(problems)}") from error


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a list of 100,000 classes takes it 1 s, the other one 10
DEEPEST = 100  # lists and mappings in one another


def _check_events(text: str) -> None:
    """Raises `yaml.YAMLError` for aliases, a few of which make a record endless or larger than any memory, and for
    brackets that go deeper than a record's do.
    """
    depth = 0
    for event in yaml.parse(text, _Loader):
        line = event.start_mark.line + 1  # type: ignore[union-attr]
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"line {line}: aliases (*) are not taken")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError(f"line {line}: more than {DEEPEST} lists and mappings in one another")


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes values in full that stand in a record twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
