"""The gateways ours is compared with, and the script they share; entrants.py starts them."""
