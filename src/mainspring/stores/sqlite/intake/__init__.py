"""How jobs come in: many in one commit, a few that meet others, and who is woken for them."""
