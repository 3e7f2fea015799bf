"""A classifier's file is replaced as a whole, or stays as it was."""

import subprocess
import sys
from pathlib import Path

from agent.retrieve.relevance.classifier import SHIPPED, read_classifier, write_classifier

OVER_THE_LIMIT = """
import resource, signal, sys
from pathlib import Path
from agent.retrieve.relevance.classifier import SHIPPED, read_classifier, write_classifier
from models.errors import InfrastructureError

file = read_classifier(SHIPPED).file.model_copy(update={"questions": 1})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
try:
    write_classifier(file, Path(sys.argv[1]))
except InfrastructureError as error:
    sys.exit(str(error))
"""
"""Writes another classifier where no file may grow beyond a kilobyte, as on a disk that fills up."""


def test_a_classifier_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    place, before = tmp_path / "relevance.json", read_classifier(SHIPPED)
    write_classifier(before.file, place)
    command = [sys.executable, "-c", OVER_THE_LIMIT, str(place)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, len(said.stderr.splitlines())) == (1, 1)
    assert said.stderr.startswith(f"{place} cannot be written")
    assert read_classifier(place) == before
    assert [each.name for each in tmp_path.iterdir()] == [place.name]
