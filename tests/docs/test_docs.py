"""Every example in README.md, CONTRIBUTING.md and docs/ is run or checked, and nothing that exists is left out.

A block whose first line is `# NAME.py` or `# NAME.yaml` is a file of its page: later blocks may use it. A `console`
block shows commands after `$ ` and exactly what they print, with `...` for what is left out. The commands of a page are
run one after the other in one folder.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from PIL import Image

import automl
from automl.cli import app, main
from automl.errors import RunError
from automl.hooks import hookspecs
from automl.hooks.checks import HOOKS
from automl.hooks.host import load_plugins
from automl.run.tried_domains import check_domains
from automl.settings import Settings, option_name
from automl.spaces.merge import merge
from automl.spaces.yaml_file import parse
from automl.testing import check_architecture

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, and the file that it is ("" for none)."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        match = re.match(r"# ([\w-]+\.(?:py|yaml))\n", self.text)
        return match[1] if match else ""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if match[1] in languages:
                found.append(Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return found


def section(page: str, heading: str) -> str:
    """The text below `## heading`, up to the next heading of that level."""
    text = (ROOT / page).read_text(encoding="utf-8")
    match = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match, f"{page} has no section '## {heading}'"
    return match[1]


def write_files(page: Path, folder: Path) -> None:
    for block in blocks("python", "yaml"):
        if block.page == page and block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")


def commands() -> dict[str, Any]:
    """Every command by its full name, groups that do something by themselves included."""

    def below(command: Any, name: str) -> dict[str, Any]:
        inside = getattr(command, "commands", {})
        own = {name: command} if name and (not inside or command.invoke_without_command) else {}
        return own | {k: v for n, c in inside.items() for k, v in below(c, f"{name} {n}".strip()).items()}

    return below(typer.main.get_command(app), "")


def options(command: Any) -> set[str]:
    own = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    return own | {"--help", "-h"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `runs/digits-1` is a finished run, and `runs/insects` too."""
    folder = tmp_path_factory.mktemp("docs")
    automl.search("digits", space="smoke", trials=2, folds=2, epochs=2, out=folder / "runs" / "digits-1")
    shutil.copytree(folder / "runs" / "digits-1", folder / "runs" / "insects")  # it takes image files as well
    return folder


@pytest.mark.parametrize("block", [b for b in blocks("python") if "@hookimpl" in b.text], ids=str)
def test_every_plugin_shown_loads_and_works(block: Block, tmp_path: Path) -> None:
    file = tmp_path / block.file
    file.write_text(block.text, encoding="utf-8")
    host = load_plugins(files=[file], entry_points=False)
    if block.file.startswith("wrong"):
        assert host.broken
        return
    assert not host.broken
    assert [found.name for found in host.plugins] == [file.stem]
    taken = load_plugins().declarations()
    assert not {(d.kind, d.name) for d in host.declarations()} & {(d.kind, d.name) for d in taken}
    for architecture in host.architectures.values():
        check_architecture(architecture, (1, 8, 8), 10, random_configs=2)
    for source in host.datasets.values():
        assert len(automl.data.sources.load.load(source.name, plugin_datasets={source.name: source.make})) > 0


@pytest.mark.parametrize("block", [b for b in blocks("python") if "@hookimpl" not in b.text], ids=str)
def test_every_other_python_example_runs(block: Block, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(block.page, run_folder)
    monkeypatch.chdir(run_folder)
    monkeypatch.syspath_prepend(str(run_folder))
    names = {"__name__": "example"}
    exec(compile(block.text, str(block), "exec"), names)
    assert names.keys() > {"__name__", "__builtins__"}, "it imports and defines nothing"


def test_the_service_of_the_tour_answers_with_a_probability_for_every_class(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uvicorn = pytest.importorskip("uvicorn")
    (block,) = [b for b in blocks("python") if b.file == "service.py"]
    monkeypatch.chdir(run_folder)
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(block.text, str(block), "exec"), names)
    server = uvicorn.Server(uvicorn.Config(names["app"], port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    photo = io.BytesIO()
    Image.new("RGB", (30, 40), "white").save(photo, "JPEG")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/predict", photo.getvalue(), timeout=20) as answer:
        probabilities = json.load(answer)
    server.should_exit = True
    thread.join(10)
    assert list(probabilities) == [str(digit) for digit in range(10)]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_every_search_space_shown_is_valid_unless_it_shows_a_mistake(block: Block, tmp_path: Path) -> None:
    write_files(block.page, tmp_path)
    files = [path for path in tmp_path.glob("*.py") if not path.name.startswith("wrong")]
    host = load_plugins(files=files)
    catalogue = host.catalogue()
    if block.file.startswith("wrong"):
        with pytest.raises(automl.BadInput):  # noqa: PT012
            document = parse(block.text, block.file)
            check_domains(merge(document, catalogue), host, document)
    else:
        assert merge(parse(block.text, str(block)), catalogue).architectures


@pytest.fixture
def type_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str], str]]:
    """Runs a command in an empty folder and returns what it prints. What pip installs is gone after the test."""
    folder, installed = tmp_path / "work", tmp_path / "installed"
    folder.mkdir()
    installed.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.syspath_prepend(str(installed))
    before = set(sys.modules)

    def run(command: str) -> str:
        words = shlex.split(command)
        if words[0] == "automl":
            monkeypatch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit):
                main()
            printed = capsys.readouterr()
            return printed.out + printed.err
        if words[0] == "pip":  # from this environment, without a network
            words += ["--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
            words += ["--target", str(installed)] if words[1] == "install" else []
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        importlib.invalidate_caches()
        return done.stdout

    yield run
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.name == "plugins.md" else [])  # it installs two packages
        for page in sorted({b.page for b in blocks("console")})
    ],
    ids=lambda page: page.name,
)
def test_every_command_shown_with_its_output_prints_it(page: Path, type_in: Callable[[str], str]) -> None:
    write_files(page, Path.cwd())
    for block in [b for b in blocks("console") if b.page == page]:
        for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
            printed = type_in(command)
            same = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
            assert same, f"{block}: {command} prints\n{printed}"


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_every_entry_point_shown_is_that_of_a_new_package(block: Block, type_in: Callable[[str], str]) -> None:
    type_in("automl plugins new demo")
    assert block.text in Path("demo/pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_every_command_line_shown_is_understood(block: Block) -> None:
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0].endswith("automl"):
            assert understand(words[1:])


def understand(arguments: list[str]) -> str:
    """The name of the command that `automl` takes these arguments for; raises as it does."""
    command: Any = typer.main.get_command(app)
    arguments = arguments[: arguments.index(">")] if ">" in arguments else arguments
    context = command.make_context("automl", list(arguments))
    while getattr(command, "commands", None) and (rest := [*context._protected_args, *context.args]):
        name, command, arguments = command.resolve_command(context, rest)
        assert command is not None
        try:
            context = command.make_context(name, list(arguments), parent=context)
        except RunError:  # understood, but there is no such run here
            return str(name)
    return str(context.command_path)


def scripted(script: str) -> list[list[str]]:
    """The arguments of each `automl` in a shell script, with numbers in place of its variables."""
    found = re.findall(r"^\s*exec automl (.+)$", script, re.MULTILINE)
    return [shlex.split(re.sub(r'"?\$\w+"?', "4", line)) for line in found]


@pytest.mark.parametrize("name", ["search.sbatch", "workers.sbatch"])
def test_the_files_for_slurm_are_shell_and_their_commands_are_understood(name: str) -> None:
    path = ROOT / "docs/distributed" / name
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    found = scripted(path.read_text(encoding="utf-8"))
    assert found
    for arguments in found:
        assert understand(arguments)


def test_the_file_for_kubernetes_is_yaml_and_its_commands_are_understood() -> None:
    text = (ROOT / "docs/distributed/kubernetes.yaml").read_text(encoding="utf-8")
    documents = [found for found in yaml.safe_load_all(text) if found]
    assert [found["kind"] for found in documents] == ["PersistentVolumeClaim", "Job", "Job"]
    for job in documents[1:]:
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
        assert container["env"][0]["name"] == "AUTOML_STORAGE"
        command = container["command"]
        found = [command[1:]] if command[0] == "automl" else scripted(container["args"][0])
        assert found
        for arguments in found:
            understand(arguments)


def test_every_setting_named_on_a_command_line_is_one_of_search() -> None:
    known = options(commands()["search"])
    for name in Settings.model_fields:
        assert name == "data" or option_name(name) in known


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_tutorial(hook: str) -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    assert f"| `{hook}(" in page, "the table of hooks lacks it"
    (example,) = re.findall(r"```python\n(.*?)```", inspect.getdoc(getattr(hookspecs, hook)) or "", re.DOTALL)
    shown = [b.text.removeprefix(f"# {b.file}\n") for b in blocks("python") if b.page.name == "plugins.md"]
    assert example in shown, f"the example in the docstring of {hook}() is not shown"


@pytest.mark.parametrize("name", list(commands()))
def test_the_reference_lists_exactly_the_options_of_each_command(name: str) -> None:
    rows = re.findall(r"^\| (`-[^|]+) \|", section("docs/cli.md", name), re.MULTILINE)
    listed = {option for row in rows for option in re.findall(r"`(-[\w-]+)`", row)}
    assert listed == options(commands()[name])


def test_the_defaults_in_the_reference_are_those_of_the_settings() -> None:
    rows = dict(re.findall(r"^\| `(--[\w-]+)` \| `([\w.]+)` \|", section("docs/cli.md", "search"), re.MULTILINE))
    fields = {option_name(name): field.default for name, field in Settings.model_fields.items()}
    assert {"--trials", "--folds", "--epochs", "--tolerance", "--sampler"} <= rows.keys()
    assert {option: str(fields[option]) for option in rows} == rows


def test_the_reference_lists_exactly_the_fields_of_the_leaderboard(run_folder: Path) -> None:
    summary = automl.resume(run_folder / "runs" / "digits-1").summary
    fields = {*summary, *(f"trials[].{k}" for k in summary["trials"][0])}
    fields |= {f"{name}.{k}" for name in ("data", "guessing", "totals", "test_details") for k in summary[name]}
    listed = re.findall(r"^\| `([\w.\[\]]+)` \|", section("docs/cli.md", "leaderboard"), re.MULTILINE)
    assert set(listed) == fields


def test_the_reference_lists_the_fields_of_the_other_listings(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ("plugins", "plugins check linear", "spaces", "space check smoke"):
        app([*arguments.split(), "--json"], standalone_mode=False)
        value = json.loads(capsys.readouterr().out)
        text = section("docs/cli.md", re.sub(r" (linear|smoke)", "", arguments))
        rows = value if isinstance(value, list) else value.get("plugins") or value.get("linear") or [value]
        for key in rows[0]:
            assert f'"{key}"' in text, f"`automl {arguments} --json` prints {key}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target


def test_every_page_of_the_docs_is_in_the_readme_and_every_folder_in_contributing() -> None:
    readme, contributing = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    for page in (ROOT / "docs").glob("*.md"):
        assert f"docs/{page.name}" in readme
    packages = [path.parent.name for path in (ROOT / "automl").glob("*/__init__.py")]
    for folder in [*packages, "plugins", "search_spaces", "benchmarks"]:
        assert f"{folder}/" in contributing
    assert readme.index("make search") < readme.index("make test") < readme.index("## ")
