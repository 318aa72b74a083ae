"""Tour to be written with the package."""
