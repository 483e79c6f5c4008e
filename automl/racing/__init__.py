"""The race: curves, the overfitting rule, the ladder and who may climb it. Pure Python and numpy."""
