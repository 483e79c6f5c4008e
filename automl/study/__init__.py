"""Optuna: where a study is stored, and what a trial's record in it says."""
