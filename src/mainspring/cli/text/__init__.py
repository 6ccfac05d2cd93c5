"""Words in, words out: arguments as JSON, tables, jobs as people and programs read them."""
