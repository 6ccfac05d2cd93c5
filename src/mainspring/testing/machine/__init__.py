"""A random walk over a store's verbs, beside a model that says what each must answer."""
