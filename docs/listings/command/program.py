import sys

from svctree import opi

config = opi.configuration(sys.argv[1])
try:
    opi.factory(config, None, sys.argv[2:]).work()
except opi.OPIError as error:
    if str(error):
        print(error, file=sys.stderr)
    sys.exit(error.exit_code)
