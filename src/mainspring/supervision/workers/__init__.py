"""One worker: its steps, and who carries them out."""
