"""How jobs go out: what a node wants becomes what it holds."""
