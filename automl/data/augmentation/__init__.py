"""Images of a training batch, changed at random."""
