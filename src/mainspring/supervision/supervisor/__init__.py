"""The supervisor of services, its members, and the watchdog of event loops."""
