"""Earlier autoregressive decoders over whole pictures, to measure the Subscale Pixel Network against: research code."""
