"""The symbols data set: openly licensed icons and letters, packed once and composed while training."""
