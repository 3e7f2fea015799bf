"""Adapters in other shapes: GGUF for llama.cpp, a Modelfile for Ollama, merged weights; each proven against PEFT's."""
