"""Every benchmark, a folder each; `registry` names them for ``liquid-control bench``."""
