"""All that the API and the workers must agree on: names, keys, the job's record and the entries of its stream.

The record says how a job stands, its stream says what was drawn. Both are written by `transitions.lua` alone
(see `service.contract.transitions`), and read here.
"""
