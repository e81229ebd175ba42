"""LLaDA and other masked language models as denoisers."""
