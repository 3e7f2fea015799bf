"""Calls to models: client, router, token budgets, cost, the embedded local model."""

from llm.chat import ChatRequest, Completion
from llm.meter import Meter, Spent
from llm.router import Router, open_endpoint, open_router
from models.chat import Message

__all__ = ["ChatRequest", "Completion", "Message", "Meter", "Router", "Spent", "open_endpoint", "open_router"]
