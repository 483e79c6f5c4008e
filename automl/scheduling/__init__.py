"""What a worker does next, the loop in which it does it, and what became of each trial."""
