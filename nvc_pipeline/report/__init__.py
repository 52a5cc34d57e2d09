"""HTML for a doctor."""
