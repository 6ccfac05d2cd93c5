"""The screen of `mainspring top`: what is read, what is shown, and what keys do."""
