"""What DATA may be: each kind is read into a `Dataset`, and what was understood is said."""
