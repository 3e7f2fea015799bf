"""The installer beyond `install.py`, beside which copies of these modules lie. Standard library only, in the syntax of
Python 3.9; nothing of the project is imported."""
