"""What is said: values, messages, ports and codecs. Imports nothing of ours; everybody may import it."""
