"""Examples as TFRecords, and the blocks between the steps."""
