"""Parse messages (JSON, Avro, Protobuf) and clean them to events by the rules of ingestion."""
