"""dlrun whose gradient check uses processes however short it is: `python forking.py gradcheck digits …`."""

from dlrun.cli.app import main
from dlrun.diagnosis import probes

if __name__ == "__main__":
    probes.FORKED = 0
    main()
