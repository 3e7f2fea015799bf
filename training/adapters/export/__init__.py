"""Export of adapters: GGUF for llama.cpp, a Modelfile for Ollama, merged weights; each is verified against PEFT."""
