"""What `mainspring supervise` adds to a supervisor: its crew on a screen, and service managers."""
