"""What is remembered: the journal, its snapshots, and the read models that follow it."""
