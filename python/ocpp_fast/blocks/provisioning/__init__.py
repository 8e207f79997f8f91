"""Block B: registration at the CSMS (B01 to B03), variables and reports (B05 to B08), Reset (B11,
B12)."""

from ocpp_fast.blocks.provisioning.limits import RequestLimits
from ocpp_fast.blocks.provisioning.registration import Provisioning
from ocpp_fast.blocks.provisioning.reports import Reports
from ocpp_fast.blocks.provisioning.reset import Resets
from ocpp_fast.blocks.provisioning.variables import VariableAccess

__all__ = ["Provisioning", "Reports", "RequestLimits", "Resets", "VariableAccess"]
