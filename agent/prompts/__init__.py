"""What each stage's model is told: one template per stage, and the shape its answer must have."""

from agent.prompts.render import REVISION, render
from agent.prompts.schemas import answer_schema

__all__ = ["REVISION", "answer_schema", "render"]
