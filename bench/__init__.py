"""What is claimed, measured: each program prints ratios of things measured in the same run."""
