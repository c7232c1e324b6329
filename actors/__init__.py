"""The actors that decide. They communicate only by messages and do no input or output. Imports protocol."""
