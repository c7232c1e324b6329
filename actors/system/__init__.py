"""The local actor system and the typed actor on which all our actors stand. Imports no other folder of actors."""
