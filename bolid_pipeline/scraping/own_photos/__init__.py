"""A folder of one's own photos, kept in step with the tables: walked, compared, and read where it has changed."""
