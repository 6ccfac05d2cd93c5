"""What `mainspring demo` is made of."""
