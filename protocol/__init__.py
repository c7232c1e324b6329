"""What is said: the values, commands, queries, events, replies and refusals of a hotel, and their wire format.

Everything here is a frozen value. Nothing here imports another room of the house.
"""
