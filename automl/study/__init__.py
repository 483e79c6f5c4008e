"""The study: its folder, its storage, and the loop that asks, trains and tells."""
