"""The symbols data set: openly licensed icons, letters and emoji, packed once and composed while training."""
