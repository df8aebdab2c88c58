"""The vector form of a final image: what it shows, as SVG and as images of any size. No torch, no HTTP."""
