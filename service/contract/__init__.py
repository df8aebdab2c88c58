"""Contract between the API and the workers: names, keys, the record of a job and the entries of its stream.

Only `transitions.lua` writes records and streams (see `service.contract.transitions`).
"""
