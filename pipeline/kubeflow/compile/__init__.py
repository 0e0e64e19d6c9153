"""Compile the pipeline to documents for Kubeflow Pipelines and Vertex AI."""
