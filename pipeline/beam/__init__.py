"""Configure where the steps on Apache Beam run."""
