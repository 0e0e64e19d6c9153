"""The graph as documents for Kubeflow Pipelines."""
