"""The only contact with the disk cache, programs, the network and this machine."""
