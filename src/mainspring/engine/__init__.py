"""The consumer: claims in, attempts, outcomes out, and a node that stays alive."""
