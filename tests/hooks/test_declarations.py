import functools
import subprocess
import sys
from pathlib import Path

import pytest

from automl.errors import BadInput, PluginError
from automl.hooks.declarations import architecture, augmentation, dataset, optimizer, schedule
from automl.spaces.parameters import Choice, Float, Int


def problem_of(decorator, build) -> str:
    with pytest.raises(PluginError) as caught:
        decorator(build)
    assert caught.value.source == __file__
    assert caught.value.line == build.__code__.co_firstlineno
    return caught.value.problem


def test_name_summary_and_parameters_come_from_the_function():
    @architecture(depth=Int(1, 4))
    def tower(input_shape, num_outputs, *, depth, width=8):
        """A tower.

        More about it.
        """
        return input_shape, num_outputs, depth, width

    assert (tower.name, tower.summary, tower.kind) == ("tower", "A tower.", "architecture")
    assert dict(tower.parameters) == {"depth": Int(1, 4)}
    assert tower.source == __file__
    assert Path(__file__).read_text().splitlines()[tower.line - 1].strip() == "@architecture(depth=Int(1, 4))"


def test_a_declared_function_can_still_be_called():
    @optimizer()
    def plain(params, lr):
        """Nothing."""
        return params, lr

    assert plain([1], 0.5) == ([1], 0.5)


def test_a_misspelt_parameter_names_the_nearest_argument():
    def mlp(input_shape, num_outputs, *, depth, width, dropout):
        """Fully connected."""

    message = problem_of(architecture(depth=Int(1, 4), widht=Int(32, 512), dropout=Float(0, 0.6)), mlp)
    assert message == (
        "the search space declares 'widht' but build() takes depth, width, dropout; did you mean 'width'?"
    )


def test_an_argument_without_a_domain_needs_a_default():
    def net(input_shape, num_outputs, *, width):
        """A network."""

    assert problem_of(architecture(), net) == "build() takes 'width' but the search space does not declare it"


@pytest.mark.parametrize(
    ("decorator", "form"),
    [
        (architecture(), "f(input_shape, num_outputs)"),
        (optimizer(), "f(params, lr)"),
        (schedule(), "f(optimizer, epochs, steps_per_epoch)"),
        (augmentation(degrees=Int(1, 9)), "f(*, degrees)"),
    ],
)
def test_wrong_positional_arguments_show_the_right_form(decorator, form):
    def f(x):
        """One argument is none of them."""

    assert f"must be defined as {form}, not f(x)" in problem_of(decorator, f)


def test_star_arguments_are_refused_because_they_hide_the_search_space():
    def net(input_shape, num_outputs, **config):
        """A network."""

    assert "net(input_shape, num_outputs, *, depth)" in problem_of(architecture(depth=Int(1, 2)), net)


def test_a_domain_that_is_no_parameter_is_refused():
    def net(input_shape, num_outputs, *, depth):
        """A network."""

    assert problem_of(architecture(depth=(1, 4)), net) == (
        "'depth' must be Int(...), Float(...), Choice(...) or Text(...), not (1, 4)"
    )


def test_a_condition_must_name_an_earlier_parameter():
    def net(input_shape, num_outputs, *, groups=2, norm):
        """A network."""

    late = architecture(groups=Int(2, 4, when={"norm": "group"}), norm=Choice("batch", "group"))
    assert problem_of(late, net) == "'groups' depends on 'norm', which must be declared before it"


def test_a_condition_on_an_impossible_value_is_refused():
    def net(input_shape, num_outputs, *, norm, groups=2):
        """A network."""

    never = architecture(norm=Choice("batch", "group"), groups=Int(2, 4, when={"norm": "gruop"}))
    assert problem_of(never, net) == "'groups' depends on norm='gruop', but norm is batch|group"


def test_a_conditional_parameter_needs_a_default():
    def net(input_shape, num_outputs, *, norm, groups):
        """A network."""

    conditional = architecture(norm=Choice("batch", "group"), groups=Int(2, 4, when={"norm": "group"}))
    assert "build() needs a default" in problem_of(conditional, net)


def test_a_declaration_without_docstring_is_refused():
    def data():
        return None

    assert problem_of(dataset, data).startswith("dataset 'data' needs a docstring")


def test_declaring_imports_neither_torch_nor_optuna():
    code = "import sys; from automl import architecture, hookimpl, Int; print({'torch', 'optuna'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_a_class_is_declared_with_its_own_docstring_and_the_arguments_of_its_init():
    class Base:
        """Not this one."""

    def declare():
        @architecture(width=Int(8, 64))
        class Net(Base):
            """A class."""

            def __init__(self, input_shape, num_outputs, *, width):
                super().__init__()
                self.width = width

        return Net

    net = declare()
    assert (net.name, net.summary, net.source) == ("Net", "A class.", __file__)
    assert net.build((4,), 2, width=8).width == 8

    class Undocumented(Base):
        def __init__(self, input_shape, num_outputs):
            pass

    with pytest.raises(PluginError, match="'Undocumented' needs a docstring"):
        architecture()(Undocumented)


def test_a_partial_is_refused_with_the_function_to_write():
    def net(input_shape, num_outputs, *, width, depth):
        """A network."""

    with pytest.raises(PluginError, match="a function or a class") as caught:
        architecture(width=Int(8, 64))(functools.partial(net, depth=2))
    assert "write `def my_architecture(input_shape, num_outputs, *, width):`" in caught.value.problem
    assert (caught.value.source, caught.value.line) == (__file__, net.__code__.co_firstlineno)


def test_all_that_is_wrong_is_said_at_once():
    def net(input_shape, *, depth, width, dropout=0.0):
        """A network."""

    space = {"widht": Int(32, 512), "dropout": 0.5, "depth": Int(1, 4, when={"widht": 7, "norm": "batch"})}
    problem = problem_of(architecture(**space), net)
    assert "must be defined as net(input_shape, num_outputs, *, widht, dropout, depth)" in problem
    assert "declares 'widht' but build() takes depth, width, dropout; did you mean 'width'?" in problem
    assert "'dropout' must be Int(...)" in problem
    assert "'depth' depends on widht=7, but widht is 32..512" in problem
    assert "'depth' depends on 'norm', which must be declared before it" in problem
    assert "build() needs a default for it" in problem
    assert "build() takes 'width'" not in problem  # it is the misspelt one


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("size", "must be waves:PARAMETER=VALUE, e.g. waves:size=16"),
        ("sise=3", "waves takes size, noise, flip; did you mean 'size'?"),
        ("size=large", "must be an int such as 16"),
        ("noise=loud", "must be a float such as 0.5"),
        ("flip=2", "must be true or false"),
    ],
)
def test_a_wrong_parameter_of_a_data_set_says_what_it_takes(text, problem):
    @dataset
    def waves(*, size=16, noise=0.5, flip=True):
        """Waves."""
        return size, noise, flip

    assert waves.make("noise=1,flip=false") == (16, 1.0, False)
    with pytest.raises(BadInput) as caught:
        waves.make(text)
    assert str(caught.value) == f"waves:{text}: {problem}"
