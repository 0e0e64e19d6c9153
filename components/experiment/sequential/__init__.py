"""Test an experiment at many looks: alpha spending for planned ones, confidence sequences for any, and what to do today."""
