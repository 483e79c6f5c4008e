"""For the tests of plugins: `check_architecture` raises, `examine` reports."""

from automl.hooks.testing import Check, check_architecture, examine

__all__ = ["Check", "check_architecture", "examine"]
