"""The grown family: vessels that grow, tissue that gives way, a scanner simulated from spins up."""
