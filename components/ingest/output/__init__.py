"""Write examples as TFRecords."""
