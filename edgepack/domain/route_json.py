"""route.json, which the router of a bundle reads: when a request goes up, and where to."""

import json

from edgepack.domain.address import Address
from edgepack.domain.bundle import BundledRoute
from edgepack.domain.confidence import calibration_values

SCHEMA = "edgepack.route/1"


def route_json(route: BundledRoute) -> str:
    """Its text. Without an address the larger model is beside the small one."""
    address = route.large if isinstance(route.large, Address) else None
    values = {
        "schema": SCHEMA,
        "threshold": route.threshold,
        "calibration": calibration_values(route.calibration),
        "address": address and address.url,
        "model": address and address.model,
    }
    return json.dumps(values, indent=2, sort_keys=True) + "\n"
