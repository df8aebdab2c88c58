"""Earlier autoregressive decoders over whole images, to compare the Subscale Pixel Network with (research code)."""
