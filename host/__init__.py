"""This machine: subprocesses, private files, directories walked without following links, deletion out of the way."""
