"""Pure functions from a trace to what is drawn: no torch, no gradio, no decoder."""
