"""Pictures: photo bytes to pixels and back, hashes that find near duplicates, drawings for people."""
