"""Write the events of a stream to Parquet files, and what couldn't be taken beside them, each message once."""
