"""The functional blocks of OCPP, one file (or package) each.

A block is an object with a table `handlers`, {action: handler}, for what the CSMS may ask, and
methods for what happens at the station. It is given a `Context` and the few ports it needs;
blocks never import one another.
"""
