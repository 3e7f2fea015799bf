"""Pages for a browser: one file each, without scripts, with pictures that a screen reader can read."""
