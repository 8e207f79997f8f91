"""Block N: monitors on variables (N02 to N06) and the events they cause (N07, N08).

    table       which monitors there are, and what a request makes of them
    schedule    when periodic ones are due
    events      what has happened, and the messages that tell it
    outgoing    the way of these messages to the CSMS
    report      GetMonitoringReport's pages
    settings    the variables of MonitoringCtrlr
    requests    what the CSMS asks
    block       all of it together

The device model in Rust evaluates the monitors when a variable is written; nothing here scans.
"""

from ocpp_fast.blocks.monitoring.block import EventDetails, Monitoring

__all__ = ["EventDetails", "Monitoring"]
