"""The plugin host: loads plugins, collects what they declare, says who is to blame, tells listeners what happens.

Hook implementations are called one by one, never all at once, so that an error names its plugin, file and line, and one
broken plugin never stops the others.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from automl.errors import BadInput, PluginError, did_you_mean
from automl.hooks import hookspecs
from automl.hooks.checks import DECLARING, check_declaration, check_hooks, place_of
from automl.hooks.declarations import Architecture, Augmentation, DatasetSource, Declaration, Optimizer, Schedule
from automl.hooks.loading import Broken, Found, blame_one_of, find_entry_points, find_files, guarded
from automl.hooks.process_state import restored_generators

if TYPE_CHECKING:
    from automl.spaces.space import Catalogue

__all__ = ["Broken", "PluginHost", "load_plugins"]

log = logging.getLogger("automl.plugins")

D = TypeVar("D", bound=Declaration)


@dataclass
class PluginHost:
    """The loaded plugins: their declarations by name, each with `.plugin` filled in, and what is broken.

    `log_targets`: the names that `--log-to` takes, each with the package that its listener needs ("" for none).
    """

    architectures: dict[str, Architecture] = field(default_factory=dict)
    optimizers: dict[str, Optimizer] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    augmentations: dict[str, Augmentation] = field(default_factory=dict)
    datasets: dict[str, DatasetSource] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    plugins: list[Found] = field(default_factory=list)
    log_targets: dict[str, str] = field(default_factory=dict)
    _manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager("automl"), repr=False)
    _versions: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    _told: set[tuple[str, str]] = field(default_factory=set, repr=False)
    _on_demand: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)  # by plugin, its names of --log-to

    def architecture(self, name: str) -> Architecture:
        """The architecture `name`. Raises `PluginError` or `BadInput` when no plugin declares it."""
        return self._find(self.architectures, "architecture", name)

    def optimizer(self, name: str) -> Optimizer:
        """The optimizer `name`. Raises `PluginError` or `BadInput` when no plugin declares it."""
        return self._find(self.optimizers, "optimizer", name)

    def schedule(self, name: str) -> Schedule:
        """The schedule `name`. Raises `PluginError` or `BadInput` when no plugin declares it."""
        return self._find(self.schedules, "schedule", name)

    def augmentation(self, name: str) -> Augmentation:
        """The augmentation `name`. Raises `PluginError` or `BadInput` when no plugin declares it."""
        return self._find(self.augmentations, "augmentation", name)

    def dataset(self, name: str) -> DatasetSource:
        """The data set `name`. Raises `PluginError` or `BadInput` when no plugin declares it."""
        return self._find(self.datasets, "dataset", name)

    def blame(self, error: BaseException, config: Mapping[str, Any]) -> Broken:
        """Which plugin of those that `config` names has raised `error`, and where; the architecture's when unclear."""
        kinds: dict[str, Mapping[str, Declaration]] = {
            "architecture": self.architectures,
            "train.optimizer": self.optimizers,
            "train.schedule": self.schedules,
            "train.augmentation": self.augmentations,
        }
        named = [known[config[key]] for key, known in kinds.items() if config.get(key) in known]
        return blame_one_of(error, [(declaration.plugin, declaration.source) for declaration in named])

    def declarations(self) -> list[Declaration]:
        """Everything that was declared, kind by kind, each in loading order."""
        return [d for kind in DECLARING.values() for d in self._by_kind(kind).values()]

    def version(self, declaration: Declaration) -> str:
        """The version of the distribution that `declaration` comes from; "" for one from a file."""
        return self._versions.get((declaration.kind, declaration.name), "")

    def catalogue(self) -> Catalogue:
        """The search spaces of all declarations, without their functions: what `automl.spaces` merges YAML over."""
        from automl.spaces.space import Catalogue

        return Catalogue(
            architectures={name: d.parameters for name, d in self.architectures.items()},
            optimizers={name: d.parameters for name, d in self.optimizers.items()},
            schedules={name: d.parameters for name, d in self.schedules.items()},
            augmentations={name: d.parameters for name, d in self.augmentations.items()},
        )

    def listens(self, events: Iterable[str]) -> bool:
        """Whether a plugin listens to any of the `events`."""
        return any(getattr(self._manager.hook, event).get_hookimpls() for event in events)

    def notify(self, event: str, **facts: Mapping[str, Any]) -> list[Broken]:
        """Calls the listeners of `event` one by one with read-only `facts`, e.g. `run=..., trial=...`.

        A plugin that has names for `--log-to` is called only where the run's settings have one of them.
        A listener that raises is logged as a warning with its plugin, file and line, the same fault once, and never
        stops the search; what went wrong is returned.
        """
        failed: list[Broken] = []
        read_only = {name: MappingProxyType(dict(value)) for name, value in facts.items()}
        # In pluggy's order, which runs its list from the back, so that tryfirst and trylast work.
        asked_for = set(facts.get("run", {}).get("settings", {}).get("log_to") or ())
        for listener in reversed(getattr(self._manager.hook, event).get_hookimpls()):
            names = self._on_demand.get(listener.plugin_name)
            if names is not None and not names & asked_for:
                continue
            name, source = self._plugin_of(listener)
            with guarded(name, source, failed):
                listener.function(*[read_only[argument] for argument in listener.argnames])
        for problem in failed:
            if (event, str(problem)) not in self._told:  # the same for each of a hundred trials says no more
                self._told.add((event, str(problem)))
                log.warning("%s: %s", event, problem)
        return failed

    def _plugin_of(self, implementation: Any) -> tuple[str, str]:
        found = next(f for f in self.plugins if _key(f) == implementation.plugin_name)
        return found.name, found.source

    def _by_kind(self, kind: type[Declaration]) -> dict[str, Any]:
        tables: dict[type[Declaration], dict[str, Any]] = {
            Architecture: self.architectures,
            Optimizer: self.optimizers,
            Schedule: self.schedules,
            Augmentation: self.augmentations,
            DatasetSource: self.datasets,
        }
        return tables[kind]

    def _find(self, known: Mapping[str, D], kind: str, name: str) -> D:
        if name in known:
            return known[name]
        for broken in self.broken:
            if broken.plugin == name:
                raise broken.error()
        theirs = "".join(f"\n  {broken}" for broken in self.broken)
        raise BadInput(
            f"unknown {kind} '{name}'{did_you_mean(name, known)}"
            + (f"\nit may belong to a broken plugin:{theirs}" if theirs else "")
        )

    def _register(self, found: Found, plugin: Any) -> None:
        """Takes an imported plugin in: checks its hooks, registers them, collects its declarations."""
        problems, unusable = check_hooks(found, plugin, self._manager)
        self.broken += problems
        if unusable or self._manager.is_registered(plugin):
            return
        self.plugins.append(found)
        self._manager.register(plugin, _key(found))
        for implementation in self._manager.hook.automl_log_to.get_hookimpls():
            if implementation.plugin is plugin:
                with guarded(found.name, found.source, self.broken):
                    self._collect_log_targets(found, implementation.function)
        for hook, kind in DECLARING.items():
            for implementation in getattr(self._manager.hook, hook).get_hookimpls():
                if implementation.plugin is plugin:
                    with guarded(found.name, found.source, self.broken):
                        self._collect(found, kind, hook, implementation.function)

    def _collect_log_targets(self, found: Found, function: Callable[[], Any]) -> None:
        """Keeps the names by which `--log-to` asks for the plugin; raises PluginError for what are none."""
        names = function()
        source, line = place_of(function, found.source)
        if not isinstance(names, Mapping) or not all(isinstance(t, str) for pair in names.items() for t in pair):
            law = 'automl_log_to() must return a mapping of names to packages, e.g. {"scores": ""}'
            raise PluginError(found.name, source, line, f"{law}, not {names!r}")
        taken = sorted(names.keys() & self.log_targets.keys())
        if taken:
            problem = f"--log-to '{taken[0]}' belongs to another plugin; rename this one"
            raise PluginError(found.name, source, line, problem)
        self.log_targets |= names
        self._on_demand[_key(found)] = frozenset(names)

    def _collect(self, found: Found, kind: type[Declaration], hook: str, function: Callable[[], Any]) -> None:
        """Calls one hook implementation and keeps what it declares; raises PluginError for what is none."""
        result = function()
        source, line = place_of(function, found.source)
        if not isinstance(result, list | tuple):
            shown = f"'{result.name}' itself" if isinstance(result, Declaration) else repr(result)
            raise PluginError(found.name, source, line, f"{hook}() must return a list, e.g. [my_function], not {shown}")
        for item in result:
            problem = check_declaration(item, kind, hook)
            at = place_of(item, source, line)
            known = self._by_kind(kind)
            if not problem and item.name in known:
                first = known[item.name]
                where = first.source if Path(first.source).name == Path(at[0]).name else Path(first.source).name
                problem = (
                    f"{kind.kind} '{item.name}' is already declared by plugin '{first.plugin}' ({where}:{first.line}), "
                    "which keeps the name; rename this one"
                )
            if problem:
                self.broken.append(Broken(found.name, *at, problem))
                continue
            known[item.name] = dataclasses.replace(item, plugin=found.name)
            self._versions[kind.kind, item.name] = found.version


def load_plugins(
    *,
    files: Sequence[str | Path] = (),
    folders: Sequence[str | Path] = (),
    recorded: Sequence[Found] = (),
    entry_points: bool = True,
) -> PluginHost:
    """Loads the installed plugins (built-in ones first), then those of `files` and of `folders`, then the `recorded`.

    A plugin that cannot be loaded is listed in `PluginHost.broken`, and the others are loaded all the same.

    Raises:
        BadInput: a file or folder does not exist.
    """
    host = PluginHost()
    host._manager.add_hookspecs(hookspecs)
    for found in [*(find_entry_points() if entry_points else []), *find_files(files, folders), *recorded]:
        with guarded(found.name, found.source, host.broken), restored_generators():  # it may seed what is not its own
            host._register(found, found.load())
    return host


def _key(found: Found) -> str:
    """The name under which pluggy knows a plugin: unlike the plugin's name, no two have the same."""
    return f"{found.name} {found.source}"
