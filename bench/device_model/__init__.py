"""The device model beside what a Python user would write: reads, reports, durable writes, memory.

`models` makes the models and the requests, `dicts` is the peer that answers from plain dicts,
`ours` the cache of this project; `durable`, `memory` and `start` measure in processes of their own.
"""
