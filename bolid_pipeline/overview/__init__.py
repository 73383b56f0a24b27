"""A page of what the data set holds: each person's photos, kept, rejected or refused, and why, in words."""
