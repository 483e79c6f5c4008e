"""A saved model: its files, loading, prediction, evaluation, export, and what a test says of it."""
