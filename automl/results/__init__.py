"""What is read of a run and trains nothing: leaderboard, diagnosis, report, dashboard."""
