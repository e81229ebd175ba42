"""Denoisers: token ids in, logits out. Nothing here knows of beams."""
