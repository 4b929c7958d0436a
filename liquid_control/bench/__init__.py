"""Every benchmark: `liquid-control bench NAME`."""
