"""Run one step in its container on Kubeflow."""
