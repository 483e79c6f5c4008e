"""For the tests of plugins: `check_architecture` raises, `examine` reports; `examine_any` takes every kind."""

from automl.testing.architectures import check_architecture, examine
from automl.testing.check import Check
from automl.testing.parts import examine_any

__all__ = ["Check", "check_architecture", "examine", "examine_any"]
