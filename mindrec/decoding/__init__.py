"""Diffusion Beam Search over token ids: no catalog, no concrete denoiser, no words."""
