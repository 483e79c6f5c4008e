"""Where a study is kept: a journal in the run's folder, a database, or a proxy before one."""
