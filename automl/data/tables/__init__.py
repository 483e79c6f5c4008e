"""Tables as people write them: from cells to typed columns. Nothing here knows of data sets."""
