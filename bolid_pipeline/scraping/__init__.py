"""From a site of galleries (or a folder) to photo bytes, with a reason for every photo that is missing."""
