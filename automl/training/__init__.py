"""Training: the only place where networks learn."""
