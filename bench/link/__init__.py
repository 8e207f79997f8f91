"""The link: a station and a CSMS in two processes, ping-pong over loopback.

    python -m bench.link [--repetitions 9] [--seconds 1.0] [--output results.json]

Candidates: `floor`, raw picows with one future for each call and the same frames ready made;
`ours`, this package's message path with validation on both ends; `station`, a whole `ChargePoint`
with its outbox in memory and the simple CSMS. They run in turns, each repetition in fresh
processes, the order shuffled; ratios are taken within a repetition, and medians over them are
printed as JSON.
"""
