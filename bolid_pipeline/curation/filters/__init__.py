"""One filter per file: a pure verdict about one photo, with a named reason. `curate` does the counting."""
