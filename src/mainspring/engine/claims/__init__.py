"""Claims in and outcomes out, for the slots of one node."""
