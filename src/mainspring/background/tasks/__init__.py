"""Single calls in the background, and collections of them."""
