"""Wake-ups across the processes of one host."""
