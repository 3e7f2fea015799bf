"""How a judge of files and symbols is asked: how many at once, and in which form it answers."""

from enum import StrEnum

from pydantic import Field

from models.plans import Frozen


class AnswerForm(StrEnum):
    """How the answers of scope and precision name what is judged, and its class."""

    LETTERS = "letters"  # {"1": "R", "2": "I"}: the number in the question, the first letter of the class
    PATHS = "paths"  # {"files": {"src/a.py": "relevant"}}: names and classes in full


class QuestionForm(Frozen):
    """The questions of scope and precision. A student is trained on the form that it is asked in."""

    answers: AnswerForm = Field(AnswerForm.LETTERS, description="letters: classes by number; paths: names in full")
    files: int = Field(6, ge=0, description="files in a question of scope, if these fit; 0: as many as fit")
    symbols: int = Field(0, ge=0, description="symbols in a question of precision, likewise")

    @property
    def identity(self) -> str:
        """What the form adds to the identity of a planner."""
        return f"questions {self.model_dump_json()}"


class Slice(Frozen):
    """The part of all items that a question shows: their places `first` to `last` of `total`, from 1."""

    first: int = Field(ge=1)
    last: int = Field(ge=1)
    total: int = Field(ge=1)
