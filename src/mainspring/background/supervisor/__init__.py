"""`TaskSupervisor`, and what it keeps: its lives, rosters, pools, and the order of its end."""
