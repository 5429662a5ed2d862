"""CDB: Context-aware Dynamic Block, on dyncore."""
