import logging
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from automl.errors import BadInput, PluginError
from automl.hooks.host import load_plugins

GOOD = '''\
from automl import Int, architecture, hookimpl


@architecture(depth=Int(1, 4))
def {name}(input_shape, num_outputs, *, depth):
    """A network."""


@hookimpl
def automl_architectures():
    return [{name}]
'''


@pytest.fixture
def plugin(tmp_path):
    """Writes a plugin's file."""

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a module as a distribution with an entry point, as pip would."""

    def install(name: str, module: str, text: str | None, version: str = "1.2") -> None:
        site = tmp_path / "site"
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[automl]\n{name} = {module}\n")
        if text is not None:
            file = site / (module.replace(".", "/") + ".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        monkeypatch.syspath_prepend(str(site))

    return install


def load(*files):
    return load_plugins(files=files, entry_points=False)


def only_message(host) -> str:
    (broken,) = host.broken
    return str(broken)


def test_a_plugin_file_is_loaded_under_its_stem(plugin):
    tower = load(plugin("towers.py", GOOD.format(name="tower"))).architecture("tower")
    assert (tower.name, tower.plugin) == ("tower", "towers")


def test_the_built_in_plugins_are_found_through_entry_points_and_load_first(installed):
    installed("aaa", "aaa_plugin", GOOD.format(name="mlp"))
    host = load_plugins()
    assert host.architecture("mlp").plugin == "mlp"
    assert "is already declared by plugin 'mlp' (mlp.py:" in only_message(host)
    assert {"linear", "lenet", "resnet"} <= set(host.architectures)
    assert {"sgd", "adamw"} <= set(host.optimizers)
    assert "cosine" in host.schedules


def test_an_installed_plugin_knows_its_version_and_a_file_has_none(installed, plugin):
    installed("towers", "towers_plugin", GOOD.format(name="installed_tower"))
    host = load_plugins(files=[plugin("local.py", GOOD.format(name="local_tower"))])
    assert host.version(host.architecture("installed_tower")) == "1.2"
    assert host.version(host.architecture("local_tower")) == ""


def test_a_folder_gives_its_files_in_order_without_those_that_start_with_an_underscore(plugin, tmp_path):
    for name in ("b", "a", "_c"):
        plugin(f"dir/{name}.py", GOOD.format(name=f"net{name}"))
    host = load_plugins(folders=[tmp_path / "dir"], entry_points=False)
    assert list(host.architectures) == ["neta", "netb"]


def test_a_file_given_twice_is_loaded_once(plugin, tmp_path):
    file = plugin("dir/a.py", GOOD.format(name="net"))
    host = load_plugins(files=[file, file], folders=[tmp_path / "dir"], entry_points=False)
    assert (list(host.architectures), host.broken) == (["net"], [])


def test_the_current_folder_is_never_searched(plugin, tmp_path, monkeypatch):
    plugin("here.py", "raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert load_plugins(entry_points=False).plugins == []


def test_files_of_one_stem_do_not_collide(plugin):
    one = plugin("one/net.py", GOOD.format(name="first"))
    two = plugin("two/net.py", GOOD.format(name="second"))
    host = load(one, two)
    modules = {a.build.__module__ for a in host.architectures.values()}
    assert (sorted(host.architectures), len(modules)) == (["first", "second"], 2)


def test_a_build_function_and_a_class_of_a_plugin_are_found_by_name(plugin):
    file = plugin("towers.py", GOOD.format(name="tower") + "\n\nclass Block:\n    pass\n")
    tower = load(file).architecture("tower")
    module = import_module(tower.build.__module__)
    assert module.tower.build is tower.build
    assert type(pickle.loads(pickle.dumps(module.Block()))) is module.Block


def test_the_module_name_is_the_same_in_another_process(plugin):
    file = plugin("towers.py", GOOD.format(name="tower"))
    code = (
        "from automl.hooks.host import load_plugins\n"
        f"print(load_plugins(files=[{str(file)!r}], entry_points=False).architecture('tower').build.__module__)"
    )
    there = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
    assert there == load(file).architecture("tower").build.__module__


def test_a_changed_file_is_loaded_anew_and_leaves_no_bytecode(plugin, tmp_path):
    assert list(load(plugin("towers.py", GOOD.format(name="old"))).architectures) == ["old"]
    assert list(load(plugin("towers.py", GOOD.format(name="new"))).architectures) == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["towers.py"]


TYPO = '''\
from automl import Float, Int, architecture, hookimpl

# A fully connected network,
# whose search space
# has a slip.


@architecture(depth=Int(1, 4), widht=Int(32, 512, log=True), dropout=Float(0.0, 0.6))
def mlp(input_shape, num_outputs, *, depth, width, dropout):
    """Fully connected network on the flattened input."""


@hookimpl
def automl_architectures():
    return [mlp]
'''


def test_a_misspelt_parameter_names_plugin_file_line_and_remedy(plugin):
    assert only_message(load(plugin("typo.py", TYPO))) == (
        "plugin 'typo' (typo.py:8): the search space declares 'widht' but build() takes depth, width, dropout; "
        "did you mean 'width'?"
    )


HOOK = "from automl import hookimpl\n@hookimpl\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nimport no_such_thing\n", "(bad.py:2): ModuleNotFoundError: No module named 'no_such_thing'"),
        ("import sys\n\nsys.exit(3)\n", "(bad.py:3): it ends the program with exit code 3, which a plugin must not"),
        ("import os\n\nos._exit(0)\n", "(bad.py:3): it ends the program with exit code 0, which a plugin must not"),
        ("x = 1\n\ndef f(:\n", "(bad.py:3): SyntaxError: invalid syntax"),
        ("def f():\n    1 / 0\n\nf()\n", "(bad.py:2): ZeroDivisionError: division by zero"),
        ("from automl import Int\nInt(5, 1)\n", "(bad.py:2): int: low 5 is above high 1"),
        ("raise GeneratorExit\n", "(bad.py:1): GeneratorExit"),
        (
            HOOK + "def automl_architecture():\n    return []\n",
            "(bad.py:2): there is no hook 'automl_architecture'; did you mean 'automl_architectures'?",
        ),
        (
            "def automl_optimizers():\n    return []\n",
            "(bad.py:1): automl_optimizers() is not marked as a hook: add @hookimpl above it",
        ),
        (
            "def automl_optimisers():\n    return []\n",
            "(bad.py:1): automl_optimisers() is not marked as a hook: no hook has this name; "
            "did you mean 'automl_optimizers'? and add @hookimpl, or give it a name that does not begin with automl_",
        ),
        (
            HOOK + "def automl_trial_finished(run, result):\n    pass\n",
            "(bad.py:2): automl_trial_finished() takes 'result' but the hook gives run, trial, curves",
        ),
        (
            "from automl import hookimpl\n@hookimpl(wrapper=True)\ndef automl_schedules():\n    return (yield)\n",
            "(bad.py:2): automl_schedules() is a hook wrapper; automl calls each plugin by itself: "
            "use a plain @hookimpl",
        ),
        (HOOK + "def automl_datasets():\n    1 / 0\n", "(bad.py:4): ZeroDivisionError: division by zero"),
        (
            HOOK + "def automl_datasets():\n    pass\n",
            "(bad.py:2): automl_datasets() must return a list, e.g. [my_function], not None",
        ),
        (
            "def net(input_shape, num_outputs):\n    pass\n" + HOOK + "def automl_architectures():\n    return [net]\n",
            "(bad.py:1): automl_architectures() returned the plain function 'net'; decorate it with @architecture(...)",
        ),
        (
            HOOK + "def automl_architectures():\n    return ['net']\n",
            "(bad.py:2): automl_architectures() returned 'net'; list functions decorated with @architecture(...)",
        ),
        (
            "from automl import architecture\n@architecture()\ndef net(input_shape, num_outputs):\n    'A net.'\n"
            + HOOK
            + "def automl_optimizers():\n    return [net]\n",
            "(bad.py:2): automl_optimizers() returned the architecture 'net'; return it from automl_architectures()",
        ),
    ],
)
def test_a_broken_plugin_is_named_with_its_line_and_the_others_load(plugin, text, message):
    host = load(plugin("bad.py", text), plugin("good.py", GOOD.format(name="tower")))
    assert only_message(host) == f"plugin 'bad' {message}"
    assert host.architecture("tower").plugin == "good"


def test_an_error_in_a_helper_is_blamed_on_the_line_in_the_plugins_own_file(plugin):
    text = "import json\n\n\ndef read():\n    return json.loads('{')\n\n\nread()\n"
    assert only_message(load(plugin("bad.py", text))).startswith("plugin 'bad' (bad.py:5): JSONDecodeError: ")


def test_an_entry_point_without_its_module_is_broken(installed):
    installed("ghost", "ghost_package.plugin", None)
    host = load_plugins()
    assert (
        only_message(host)
        == "plugin 'ghost' (ghost_package.plugin): ModuleNotFoundError: No module named 'ghost_package'"
    )
    assert "mlp" in host.architectures


def test_an_installed_plugin_that_raises_is_blamed_by_file_and_line(installed):
    installed("sour", "sour_plugin", "\n\nraise SystemExit\n")
    assert only_message(load_plugins()).startswith(
        "plugin 'sour' (sour_plugin.py:3): it ends the program with exit code None"
    )


def test_ctrl_c_while_a_plugin_loads_is_not_swallowed(plugin):
    with pytest.raises(KeyboardInterrupt):
        load(plugin("slow.py", "raise KeyboardInterrupt"))


def test_a_duplicate_name_stays_with_the_first_and_the_rest_of_the_later_plugin_is_usable(plugin):
    later = GOOD.format(name="tower") + '\n\n@architecture()\ndef hut(input_shape, num_outputs):\n    """A hut."""\n'
    later = later.replace("[tower]", "[tower, hut]")
    host = load(plugin("first.py", GOOD.format(name="tower")), plugin("later.py", later))
    assert only_message(host) == (
        "plugin 'later' (later.py:4): architecture 'tower' is already declared by plugin 'first' (first.py:4), "
        "which keeps the name; rename this one"
    )
    assert (host.architecture("tower").plugin, host.architecture("hut").plugin) == ("first", "later")


def test_what_a_plugin_prints_does_not_reach_stdout(plugin, capsys):
    load(plugin("chatty.py", "print('hello')"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_a_failed_import_can_be_repaired_and_loaded_again(plugin):
    assert load(plugin("net.py", "1 / 0")).broken
    assert list(load(plugin("net.py", GOOD.format(name="net"))).architectures) == ["net"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"files": ["towrs.py"]}, r"--plugin towrs.py: no such file; did you mean 'towers.py'\?"),
        ({"files": ["dir"]}, "--plugin dir: is a folder; give --plugins-dir dir"),
        ({"files": ["notes.txt"]}, "--plugin notes.txt: a plugin is a Python file"),
        ({"folders": ["dri"]}, r"--plugins-dir dri: no such folder; did you mean 'dir'\?"),
        ({"folders": ["towers.py"]}, "--plugins-dir towers.py: is a file; give --plugin towers.py"),
    ],
)
def test_a_missing_file_or_folder_is_bad_input_at_once(plugin, tmp_path, monkeypatch, options, message):
    plugin("towers.py", "")
    plugin("notes.txt", "")
    plugin("dir/a.py", "raise SystemExit")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=message):
        load_plugins(**options, entry_points=False)


def test_an_unknown_architecture_names_the_nearest_and_the_broken_plugins(plugin):
    host = load(plugin("good.py", GOOD.format(name="tower")), plugin("bad.py", "import no_such_thing"))
    with pytest.raises(BadInput) as caught:
        host.architecture("towr")
    assert str(caught.value) == (
        "unknown architecture 'towr'; did you mean 'tower'?\n"
        "it may belong to a broken plugin:\n"
        "  plugin 'bad' (bad.py:1): ModuleNotFoundError: No module named 'no_such_thing'"
    )


def test_asking_for_an_architecture_named_like_a_broken_plugin_raises_its_error(plugin):
    host = load(plugin("unet.py", "import no_such_thing"))
    with pytest.raises(PluginError, match=r"plugin 'unet' \(unet.py:1\): ModuleNotFoundError") as caught:
        host.architecture("unet")
    assert caught.value.exit_code == 2


def test_the_catalogue_holds_the_parameters_of_every_declaration():
    host = load_plugins()
    catalogue = host.catalogue()
    assert catalogue.architectures["mlp"] == host.architecture("mlp").parameters
    assert catalogue.optimizers["sgd"] == host.optimizer("sgd").parameters
    assert set(catalogue.schedules) == set(host.schedules)
    assert set(catalogue.augmentations) == set(host.augmentations) >= {"none", "light", "medium", "strong"}


LISTENER = HOOK + "def automl_search_started(run):\n    {body}\n"


def test_a_listener_that_raises_is_a_warning_and_the_others_are_called(plugin, tmp_path, caplog):
    files = [
        plugin("first.py", LISTENER.format(body=f"open({str(tmp_path / 'first')!r}, 'w').close()")),
        plugin("sour.py", LISTENER.format(body="raise SystemExit")),
        plugin("last.py", LISTENER.format(body=f"open({str(tmp_path / 'last')!r}, 'w').close()")),
    ]
    with caplog.at_level(logging.WARNING, "automl"):
        (failed,) = load(*files).notify("automl_search_started", run={})
    assert (failed.plugin, failed.source, failed.line) == ("sour", str(tmp_path / "sour.py"), 4)
    assert "automl_search_started: plugin 'sour' (sour.py:4)" in caplog.text
    assert (tmp_path / "first").exists()
    assert (tmp_path / "last").exists()


def test_a_listener_cannot_change_what_it_is_told(plugin):
    run = {"study": "first"}
    (failed,) = load(plugin("rude.py", LISTENER.format(body="run['study'] = 'mine'"))).notify(
        "automl_search_started", run=run
    )
    assert "does not support item assignment" in failed.problem
    assert run == {"study": "first"}


def test_a_listener_may_take_fewer_arguments(plugin, tmp_path):
    file = plugin("few.py", HOOK + "def automl_trial_finished(trial):\n    open(trial['to'], 'w').close()\n")
    assert load(file).notify("automl_trial_finished", run={}, trial={"to": str(tmp_path / "told")}) == []
    assert (tmp_path / "told").exists()


def test_the_host_itself_imports_no_torch():
    code = "import sys; import automl.hooks.host; print('torch' in sys.modules, 'optuna' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False False"


@pytest.mark.parametrize("line", ["from blocks import body", "from .blocks import body", "import blocks.more"])
def test_importing_a_file_beside_the_plugin_is_refused_with_the_remedy(plugin, tmp_path, line):
    file = plugin("mine.py", line)
    file.with_name("blocks.py").write_text("body = 1\n")
    (broken,) = load_plugins(files=[file], entry_points=False).broken
    assert (broken.line, broken.source) == (1, str(file))
    assert "put all of it into one file, or make a package of it with `automl plugins new NAME`" in broken.problem


def test_a_module_that_is_nowhere_gets_no_advice_on_files(plugin):
    (broken,) = load_plugins(files=[plugin("mine.py", "import not_anywhere")], entry_points=False).broken
    assert broken.problem == "ModuleNotFoundError: No module named 'not_anywhere'"
