"""Where documents go: journal first, catalog second."""
