"""Plugins: what they declare, the hooks they implement, and the host that finds, loads and blames them."""
