"""The columns of the dataset file, as TensorFlow Metadata and as TensorFlow reads them."""
