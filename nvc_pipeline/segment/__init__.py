"""The network: the only place with torch and MONAI."""
