"""The analytic family: surfaces and tubes by formula, signal by tissue constants."""
