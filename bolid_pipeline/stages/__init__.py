"""Steps over photos that fill the tables: only missing and outdated rows are computed."""
