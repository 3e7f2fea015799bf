"""This machine: subprocesses, private files, directory walks that follow no link, deferred deletion."""
