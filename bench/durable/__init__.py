"""What durable delivery costs on this disk.

    python -m bench.durable.enqueue    one event to the disk, beside a bare thread hop
    python -m bench.durable.group      1,000 EVSEs at once: stored, sent, confirmed
    python -m bench.durable.backlog    start with 100,000 queued messages, beside one with 100
    python -m bench.durable.disk       the disk alone

All files lie in `bench/results`, which has to be on a disk. Times are those of the wall clock.
"""
