"""``python -m liquid_control.cli``"""

from liquid_control.cli.program import console

if __name__ == "__main__":
    console()
