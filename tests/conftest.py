"""For all tests."""

from hypothesis import settings

# The machine may be busy, and the first example of a test often pays for an import.
settings.register_profile("bolid", deadline=None)
settings.load_profile("bolid")
