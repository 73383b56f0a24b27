"""Photo sources: one file per site. A new site is one class with the methods of `PhotoSource`."""
