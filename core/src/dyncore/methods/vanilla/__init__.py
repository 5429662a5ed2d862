"""Short-range routers on whole blocks."""
