"""The worklist of procedure steps (UPS, PS3.4 CC): what is to be done, by whom, and how it went."""
