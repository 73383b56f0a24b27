"""Photo sources: a gallery site, and a folder of one's own photos."""
