"""The outside things that the assets use, one per file."""
