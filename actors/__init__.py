"""Who decides. Actors talk only by messages, and do no input or output. Imports protocol."""
