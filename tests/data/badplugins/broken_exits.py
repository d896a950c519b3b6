import sys

sys.exit("usage: this was a script")
