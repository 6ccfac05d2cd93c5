"""Who owns services: starts them, restarts them, closes them, and looks after them."""
