"""Simulate a seeded shop whose truth (relevance, examination, effects) is known."""

from components.simulator.config import ShopConfig, ShopConfigError
from components.simulator.simulate import ShopFolderError, ShopSummary, simulate

__all__ = ["ShopConfig", "ShopConfigError", "ShopFolderError", "ShopSummary", "simulate"]
