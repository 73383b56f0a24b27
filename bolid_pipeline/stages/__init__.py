"""Steps over photos that fill the tables, computing only the rows that are missing or outdated."""
