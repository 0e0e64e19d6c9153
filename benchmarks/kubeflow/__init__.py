"""The cost of a step on Kubeflow before its work begins."""
