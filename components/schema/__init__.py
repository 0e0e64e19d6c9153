"""The dataset file's columns as a TensorFlow Metadata schema, a parsing spec and a model's signatures."""
