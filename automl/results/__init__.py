"""What a search came to: the leaderboard, the final model, the report."""
