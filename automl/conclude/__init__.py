"""The end of a search: the finalists on fresh folds, the selection, the final model, its test; and replays."""
