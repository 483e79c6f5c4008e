"""A run on disk and what it stands on: its folder, its record, the checked ingredients of its search."""
