"""What the Subscale Pixel Network is worth beside earlier decoders: equal training, likelihood, samples."""
