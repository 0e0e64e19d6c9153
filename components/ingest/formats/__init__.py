"""Read CSV, JSON and nested Parquet columns as frames."""
