"""Compiled sequences of liquid cells, which train many times faster than plain torch."""
