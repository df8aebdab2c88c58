"""The Subscale Pixel Network: only mathematics, no Redis, no HTTP, no settings.

Imports run one way:
`config` -> `subscale` -> `layers` -> `embedder` -> `decoder` -> `network` -> `sampling/` -> `pipeline` -> `checkpoint`.
`config`, `subscale`, `cards` and `errors` are free of torch, so that the service may import them.

Legend of capital letters, everywhere:

- B batch, C channels, H W image, V values per sub-pixel
- S subscale factor, K slices (S * S), h w slice (H / S, W / S), N positions in a slice (h * w)
- D width, P width of an embedded pixel, T taps of a masked convolution, J forecasts of a position
- M tokens in a pass, R rows of a board (slices in progress), L lanes of a board (R, or 2 R with guidance)
"""
