"""`python -m ocpp_fast.cli`, the same as `ocpp-fast`."""

from ocpp_fast.cli import main

main()
