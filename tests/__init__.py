"""Tests: a folder for each room, and `support/` for what several of them use."""
