"""The tables, as a migration for each version of them."""
