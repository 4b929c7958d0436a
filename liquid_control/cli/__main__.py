"""``python -m liquid_control.cli`` is the same as ``liquid-control``."""

from liquid_control.cli.program import console

if __name__ == "__main__":
    console()
