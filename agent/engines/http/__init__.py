"""The engine on a server with the OpenAI completions API."""
