"""Read partitions of messages: Kafka, Redis Streams, files, standard input, dead letters."""
